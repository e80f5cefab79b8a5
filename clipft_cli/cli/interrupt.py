"""Ctrl-C, and what a system sends to end a process, as one exception that cleans up on its way out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import SIGNAL_CODES, SIGNALS, InterruptedRun
from .ending import Ending


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Within the block the first of SIGNALS raises Interrupted, a second one leaves at once.

    What the caller ignores stays ignored: `nohup` means that a closed terminal is no reason to stop.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: handler for n in SIGNALS if (handler := signal.getsignal(n)) not in (None, signal.SIG_IGN)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, _leave)
        raise Interrupted(number)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    except InterruptedRun as error:
        Ending.code = error.exit_code  # all is saved: a signal while that is told changes nothing
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settle_ending(code: object) -> None:
    """All is said: from here on, while the interpreter is taken down, a signal changes no exit code."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        Ending.code = code if isinstance(code, int) else int(code is not None)


def leave_if_interrupted(code: object) -> None:
    """Ends the process where `code` says that it was interrupted: a thread that waits for a file would hold it."""
    if code in SIGNAL_CODES or code == InterruptedRun.exit_code:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(int(code))  # type: ignore[call-overload]


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"\ninterrupted again: left at once; what was not finished is not kept\n")
    os._exit(128 + number)
