"""The versions of what is installed: noted in what is written, and part of the keys of what is kept."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

MISSING = "not installed"


def versions_of(*packages: str) -> dict[str, str]:
    """By package; MISSING where it is none."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = MISSING
    return found


def versions_behind_results() -> dict[str, str]:
    """Of what shapes the result of a run."""
    return {"python": platform.python_version(), **versions_of("clipft-cli", "torch", "open_clip_torch")}
