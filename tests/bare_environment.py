"""An environment with a few packages and nothing else: what somebody has who was given an export."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement


def bare_python(folder: Path, *packages: str) -> Path:
    """The interpreter of a new virtual environment, with links to these packages and to what they need.

    Nothing is downloaded; each package must be installed here.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    target = Path(subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip())
    for found in _with_needs(packages).values():
        for name in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link, place = target / name, Path(str(found.locate_file(name)))
            if not link.exists():
                link.symlink_to(place)
    return python


def run_bare(python: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in `folder`, without this environment's variables."""
    own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(python), "-I", *arguments]
    return subprocess.run(
        command, check=False, cwd=folder, env=own, capture_output=True, text=True, timeout=200, encoding="utf-8"
    )


def _with_needs(packages: tuple[str, ...]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue  # of another system
        if one.metadata["Name"] in found:
            continue
        found[one.metadata["Name"]] = one
        for text in one.requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return found
