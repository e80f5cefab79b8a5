"""What a run tells its trackers: each has a queue and a process, and no run waits for either."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import MissingExtraError
from ..events import EpochDone, Event, Note, OnEvent, StepDone
from ..files.visible import visible
from . import TRACKERS

FOLDER = "trackers"
MOST_WAITING = 10_000
"""Lines that wait for one tracker; what comes while so many do is left out."""

PATIENCE_SECONDS = 20.0
"""How long a run that has ended, and is saved, waits for all its trackers to take what they were told."""


def require_trackers(names: Sequence[str]) -> None:
    """Raises MissingExtraError where the client of a tracker is not installed."""
    for name in names:
        if name in TRACKERS and find_spec(TRACKERS[name].package) is None:
            raise MissingExtraError(
                f"training.report_to: {name} is not installed", hint=f"pip install 'clipft-cli[{name}]'"
            )


class Reporter:
    """One tracker of one run. Nothing here raises, and nothing but `close` waits."""

    def __init__(self, name: str, folder: Path, config: Mapping[str, Any]) -> None:
        self.name = name
        self.log = folder / FOLDER / f"{name}.log"
        self._left_out = 0
        self._is_ended = self._has_told = False
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._process: subprocess.Popen[str] | None = None
        with contextlib.suppress(OSError):
            self.log.parent.mkdir(exist_ok=True)
            self._process = self._started()
        memory = folder.resolve() / FOLDER / f"{name}.json"
        self.tell({"folder": str(folder.resolve()), "memory": str(memory), "name": folder.name, "config": dict(config)})
        self._feeder = threading.Thread(target=self._feed, daemon=True, name=f"tells {name}")
        self._feeder.start()

    def _started(self) -> subprocess.Popen[str]:
        package_root = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        with self.log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "clipft_cli.engine.trackers.worker", self.name],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the run
            )

    def tell(self, message: Mapping[str, Any]) -> None:
        """Put a message where the tracker will find it, or leave it out where too many wait."""
        try:
            self._lines.put_nowait(json.dumps(message) + "\n")
        except queue.Full:
            self._left_out += 1

    def _feed(self) -> None:
        pipe = self._process.stdin if self._process is not None else None
        with contextlib.suppress(OSError, ValueError):  # it has ended: `trouble` says so
            while pipe is not None and (line := self._lines.get()) is not None:
                pipe.write(line)
                pipe.flush()
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()

    def trouble(self) -> str | None:
        """What went wrong, the first time that it is asked for after it did."""
        if self._has_told:
            return None
        text = None
        if self._process is None:
            text = "could not be started"
        elif self._process.poll() and not self._is_ended:
            text = f"failed and is told no more ({self._last_line()}; {visible(str(self.log))})"
        elif self._left_out:
            text = "is slower than the run, and some of what it should be told is left out"
        self._has_told = text is not None
        return text and f"{self.name} {text}; the run is not touched by it"

    def _last_line(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        return visible(next((line.strip() for line in reversed(lines) if line.strip()), "without a word"))[:300]

    def close(self, until: float) -> None:
        """Wait for the tracker to take what waits, until the time.monotonic() `until`; then it is ended."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=max(0.0, until - time.monotonic()))
        if self._process is None:
            return
        try:
            self._process.wait(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._left_out += 1
            self._is_ended = True
            _kill(self._process)
            self._process.wait()


def _kill(process: subprocess.Popen[str]) -> None:
    """End it with what it has started, where the system has groups of processes."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Reporting:
    """All trackers of one run, told of its events; TensorBoard is none of these."""

    def __init__(self, names: Sequence[str], folder: Path, config: Mapping[str, Any], on_event: OnEvent) -> None:
        self._on_event = on_event
        self._reporters = [Reporter(name, folder, config) for name in names if name in TRACKERS]

    def __enter__(self) -> Reporting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        for reporter in self._reporters:
            reporter.close(until)
        self._warn()

    def __call__(self, event: Event, values: Mapping[str, float]) -> None:
        """Tell the numbers of an event."""
        place = _place_of(event)
        if place is None or not values:
            return
        for reporter in self._reporters:
            reporter.tell({"place": place, "values": dict(values)})
        self._warn()

    def keep(self, file: Path) -> None:
        """Have every tracker keep a file."""
        for reporter in self._reporters:
            reporter.tell({"file": str(file.resolve())})

    def _warn(self) -> None:
        for reporter in self._reporters:
            if (text := reporter.trouble()) is not None:
                self._on_event(Note(text, is_warning=True))


def _place_of(event: Event) -> tuple[int, int] | None:
    if isinstance(event, StepDone):
        return event.step, 0
    return (event.record.step, 1) if isinstance(event, EpochDone) else None
