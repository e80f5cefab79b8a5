"""`make robustness`: runs everything here, the long tier too, and writes what was tried and survived.

The table is docs/robustness.md; its figures are those of the run that wrote it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "robustness.md"


def main() -> int:
    """Run, count, write; the exit code is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.touch()
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow", str(HERE), *sys.argv[1:]]
        settings = {"CLIPFT_ROBUSTNESS_LOG": str(log), "CLIPFT_FUZZ_CASES": "2000", "OMP_NUM_THREADS": "1"}
        code = subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    DOCUMENT.write_text(text_of(lines, code), encoding="utf-8")
    print(f"wrote {DOCUMENT}")
    return code


def text_of(lines: list[dict], code: int) -> str:
    """The document: one row a kind of fault."""
    tried: dict[str, int] = defaultdict(int)
    survived: dict[str, int] = defaultdict(int)
    for line in lines:
        tried[line["kind"]] += line["tried"]
        survived[line["kind"]] += line["survived"]
    rows = [
        f"| {kind} | {tried[kind]:,} | {survived[kind]:,} | {tried[kind] - survived[kind]:,} |"
        for kind in sorted(tried)
    ]
    state = "all tests passed" if code == 0 else "some tests failed: see their output"
    return "\n".join(
        [
            "# Faults tried",
            "",
            "Written by `make robustness`, which breaks real runs on purpose: `tests/robustness/` says how.",
            f"{date.today().isoformat()}, {platform.system()}, Python {platform.python_version()}, CPU; {state}.",
            "",
            "*Survived* means: the run, resumed where it was stopped, ended with the same bits as the undisturbed run;",
            "or, where nothing can go on, it ended with one clear line, the right exit code and nothing half written.",
            "",
            "| fault | tried | survived | lost |",
            "|---|---:|---:|---:|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
