"""A process for one side: builds it, says its facts, then runs a round whenever it is told to."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from .work import Task, Work


def main() -> None:
    """`python -m benchmarks.worker MODULE:FUNCTION TASK`: one JSON line in, one out."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    module, function = sys.argv[1].split(":")
    try:
        work: Work = getattr(importlib.import_module(f"benchmarks.{module}"), function)(
            Task.from_json(json.loads(sys.argv[2]))
        )
        reset_peak()
        _say(answers, {"facts": work.facts, "notes": work.notes, "units": work.units})
        for line in sys.stdin:
            if line.strip() == "stop":
                break
            _say(answers, _round(work))
    except Exception as error:
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        raise


def _round(work: Work) -> dict[str, Any]:
    began = time.perf_counter()
    said = work.run()
    return {
        "seconds": time.perf_counter() - began if said is None else said,
        "peak_gib": peak_gib(),
        "notes": work.notes,
    }


def _say(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")


def peak_gib() -> float | None:
    """Largest resident memory since `reset_peak`; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM:"))


def reset_peak() -> None:
    """Forget the memory that building took: loading and converting weights is no part of a step."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return


if __name__ == "__main__":
    main()
