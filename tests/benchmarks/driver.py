"""Runs a row: a process for each side, checked for equal work, then driven in turn, A B C A B C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from .figures import figure_of
from .rows import Row, Side
from .work import Task

TESTS = Path(__file__).parents[1]
TOLERANCE = {"bf16": 0.03, "fp32": 1e-4}


class UnequalWork(Exception):
    """Two sides of a row do not do the same; nothing was timed."""


class SideFailed(Exception):
    """A side could not be built or run; the text is what it said."""


class Worker:
    """A side in a process of its own: settings of the process (allocator, threads) and memory do not mix."""

    def __init__(self, side: Side, task: Task) -> None:
        paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(task.threads),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "HF_HUB_OFFLINE": "1",
        }
        command = [sys.executable, "-m", "benchmarks.worker", side.variant]
        command.append(json.dumps(replace(task, options=side.options).to_json()))
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        self.side = side

    def stop(self) -> None:
        """End the process; nothing it holds is kept."""
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def answer(self) -> dict[str, Any]:
        """The next line the process says. Raises SideFailed where it has ended or met an error."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        content: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in content:
            raise SideFailed(f"{self.side.variant}: {content['error']}")
        return content

    def round(self) -> dict[str, Any]:
        """Run one round and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        return self.answer()

    def _last_words(self) -> str:
        self.log.seek(0)
        return (self.log.read().strip().splitlines() or ["the process ended without a word"])[-1]


def measure(row: Row, task: Task, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All rounds of a row and the figures they give. Raises UnequalWork or SideFailed, before any timing."""
    workers: dict[str, Worker] = {}
    try:
        for name, side in row.sides.items():
            workers[name] = Worker(side, task)
        sides = {name: {**worker.answer(), "seconds": []} for name, worker in workers.items()}
        check_equal(row, sides, TOLERANCE[task.precision])
        for n in range(0 if row.warms_up else 1, rounds + 1):
            for name, worker in workers.items():
                done = worker.round()
                if n > 0:
                    sides[name]["seconds"].append(done["seconds"])
                sides[name].update(peak_gib=done["peak_gib"], notes=done["notes"])
            say(f"round {n} of {rounds}")
    finally:
        for worker in workers.values():
            worker.stop()
    return {
        "title": row.title,
        "model": task.world.model,
        "batch_size": task.batch_size,
        "precision": task.precision,
        "threads": task.threads,
        "rounds": rounds,
        "sides": sides,
        "differs": {name: dict(side.differs) for name, side in row.sides.items() if side.differs},
        "figures": [figure_of(figure, sides) for figure in row.figures],
    }


def check_equal(row: Row, sides: Mapping[str, Mapping[str, Any]], tolerance: float) -> None:
    """Raises UnequalWork unless all compared sides state the same facts; numbers in lists within `tolerance`."""
    compared = [name for name, side in row.sides.items() if side.is_compared]
    for first, name in product(compared[:1], compared[1:]):
        for fact, value in sides[first]["facts"].items():
            other = sides[name]["facts"].get(fact)
            if fact not in row.sides[name].differs and not _is_same(value, other, tolerance):
                raise UnequalWork(f"{row.title}: {fact} is {value} for {first}, {other} for {name}")


def _is_same(value: Any, other: Any, tolerance: float) -> bool:
    if not isinstance(value, list) or not isinstance(other, list):
        return bool(value == other)
    pairs = zip(value, other, strict=True)
    return len(value) == len(other) and all(abs(a - b) <= tolerance * max(abs(a), abs(b)) for a, b in pairs)
