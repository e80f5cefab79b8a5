"""results.json: rows measured one by one, each with the machine and the versions it was measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("clipft-cli", "torch", "open_clip_torch", "transformers", "peft", "timm", "torchvision", "pillow")


def read_results(path: Path) -> dict[str, Any]:
    """What is there, or nothing."""
    if not path.is_file():
        return {"rows": {}}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def add_row(path: Path, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Put a row into the file, in place of an older one of the same name, model and settings."""
    content = read_results(path)
    key = f"{name} {row['model']}"
    content["rows"][key] = {
        **row,
        "row": name,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "versions": versions(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)
    return content


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of everything that takes part; what is not installed is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The model's name with the number format that decides about bf16."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    has_bf16 = "avx512_bf16" in facts.get("flags", "")
    return facts.get("model name", platform.processor()) + (", AVX512-BF16" if has_bf16 else "")
