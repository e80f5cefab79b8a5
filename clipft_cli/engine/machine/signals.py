"""SIGINT, SIGTERM, SIGHUP: the first asks for a stop after the step, the second leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType

from ...errors import SIGNALS


class Stopped(BaseException):
    """A pass was left half done because of a signal: who began it knows what is saved.

    No Exception: a library that answers for all of its own failures must not take it for one.
    """


class StopRequest:
    """Within the block, `is_set` turns True at the first signal. Outside the main thread it never does.

    What the caller ignores stays ignored: `nohup` means that a closed terminal is no reason to stop.
    `farewell` is what a second signal says last.
    """

    def __init__(self) -> None:
        self.is_set = False
        self.farewell = ""
        self._raises = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            heard = [n for n in SIGNALS if signal.getsignal(n) not in (None, signal.SIG_IGN)]
            self._before = {number: signal.signal(number, self._on_signal) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises Stopped after a signal."""
        if self.is_set:
            raise Stopped

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block, where nothing is to be saved, a signal raises Stopped wherever the program stands."""
        self._raises = True
        try:
            self.check()
            yield
            self.check()
        finally:
            self._raises = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.is_set:
            with contextlib.suppress(OSError):  # no print: the signal may have come in the middle of another
                os.write(2, f"\ninterrupted again: left at once; {self.farewell}\n".encode())
            os._exit(128 + number)
        self.is_set = True
        if self._raises:
            raise Stopped
