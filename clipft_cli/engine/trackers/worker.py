"""The process of one tracker: `python -m clipft_cli.engine.trackers.worker NAME`, told by lines of JSON on its input.

A tracker that hangs, crashes, prints or takes a signal does so here, where no run is. The input's end is the run's.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from ..files.write import write_text
from . import TRACKERS
from .base import Told, Tracker


def work(name: str, lines: TextIO) -> None:
    """Tell the tracker `name` all that comes in `lines`; the first says of which run it is."""
    first = json.loads(lines.readline())
    memory = Path(first["memory"])
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    tracker = TRACKERS[name](Told(Path(first["folder"]), first["name"], first["config"], known.get("run")))
    last = _place(known.get("last", [-1, 0]))
    _remember(memory, tracker, last)
    _remember(memory, tracker, last)
    try:
        for line in lines:
            told = json.loads(line)
            if "file" in told:
                tracker.keep(Path(told["file"]))
                continue
            place = _place(told["place"])
            if place <= last:  # a run that goes on from a saved state repeats what it had told since, bit for bit
                continue
            tracker.log(told["values"], place[0])
            last = place
            if place[1]:
                _remember(memory, tracker, last)
    finally:
        _remember(memory, tracker, last)
        tracker.close()


def _place(values: Any) -> tuple[int, int]:
    """(step, 0 for an update or 1 for what was measured after it), which grows through a run."""
    return int(values[0]), int(values[1])


def _remember(memory: Path, tracker: Tracker, last: tuple[int, int]) -> None:
    write_text(memory, json.dumps({"run": tracker.run, "last": last}) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends by its own rules, and then this input does
    work(sys.argv[1], sys.stdin)
