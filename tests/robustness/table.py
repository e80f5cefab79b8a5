"""`make robustness`: runs what is here, the long tier too, and writes what was tried and survived.

The table is docs/robustness.md; its figures are those of docs/robustness.json, where each test's last run stands.
`make robustness ONLY="-k soak"` runs some tests anew and keeps the figures of the others, each with its own date.
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
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = ROOT / "docs" / "robustness.json"
DOCUMENT = ROOT / "docs" / "robustness.md"
ALL = ("-m", "slow or not slow", str(HERE))


def main() -> int:
    """Run, count, write; the exit code is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.touch()
        settings = {"CLIPFT_ROBUSTNESS_LOG": str(log), "CLIPFT_FUZZ_CASES": "2000", "OMP_NUM_THREADS": "1"}
        code = _pytest(*sys.argv[1:], env={**settings, **os.environ, "CLIPFT_ROBUSTNESS_LOG": str(log)}).returncode
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    before = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    record = updated(before, lines, _collected(), {"date": date.today().isoformat(), "commit": _commit()})
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    DOCUMENT.write_text(text_of(record), encoding="utf-8")
    print(f"wrote {DOCUMENT}")
    return code


def updated(before: dict, lines: list[dict], known: set[str], when: dict[str, str]) -> dict[str, Any]:
    """The record with the tests that ran now in place of their earlier runs, without those that are no more."""
    now: dict[str, Any] = {line["test"]: {**when, "platform": _platform(), "counts": []} for line in lines}
    for line in lines:
        if line["kind"]:
            now[line["test"]]["counts"].append([line["kind"], line["tried"], line["survived"], line["note"]])
    return {test: entry for test, entry in {**before, **now}.items() if test in known and entry["counts"]}


def text_of(record: dict[str, Any]) -> str:
    """The document: one row a kind of fault."""
    tried: dict[str, int] = defaultdict(int)
    survived: dict[str, int] = defaultdict(int)
    runs: dict[str, set[str]] = defaultdict(set)
    samples: dict[str, set[str]] = defaultdict(set)
    for entry in record.values():
        for kind, n_tried, n_survived, note in entry["counts"]:
            tried[kind] += n_tried
            survived[kind] += n_survived
            samples[kind] |= {f"{n_tried:,} {note}"} if "operations" in note else set()
            runs[kind].add(f"{entry['date']} ({entry['commit']})")
    rows = [
        f"| {'; '.join((kind, *sorted(samples[kind])))} | {tried[kind]:,} | {survived[kind]:,}"
        f" | {tried[kind] - survived[kind]:,} | {_span(runs[kind])} |"
        for kind in sorted(tried)
    ]
    platforms = sorted({entry["platform"] for entry in record.values()})
    return "\n".join(
        [
            "# Faults tried",
            "",
            "Written by `make robustness`, which breaks real runs on purpose: `tests/robustness/` says how.",
            f"On {'; '.join(platforms)}. The last column says when a row's tests were run last, on which commit.",
            "",
            "*Survived* means: the run, resumed where it was stopped, ended with the same bits as the undisturbed run;",
            "or, where nothing can go on, it ended with one clear line, the right exit code and nothing half written.",
            "",
            "| fault | tried | survived | lost | run |",
            "|---|---:|---:|---:|---|",
            *rows,
            "",
        ]
    )


def _span(runs: set[str]) -> str:
    first, last = min(runs), max(runs)
    return first if first == last else f"{first} to {last}"


def _pytest(*args: str, **how: Any) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *ALL, *args], check=False, **how)


def _collected() -> set[str]:
    """Names of all tests there are."""
    found = _pytest("--collect-only", stdout=subprocess.PIPE, text=True).stdout
    return {line.partition("::")[2] for line in found.splitlines() if "::" in line}


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _platform() -> str:
    return f"{platform.system()}, Python {platform.python_version()}, CPU"


if __name__ == "__main__":
    sys.exit(main())
