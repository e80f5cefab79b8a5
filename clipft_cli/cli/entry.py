"""Where the `clipft` script begins: from here on a signal ends the process in one line, whatever is being imported.

Nothing is imported at the top that takes more than a millisecond.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from .ending import Ending

NAMES = {"SIGHUP": "terminal closed", "SIGINT": "interrupted", "SIGTERM": "terminated"}
"""`errors.SIGNAL_CODES` by the signals' own names, of which a system may lack one."""

SAVED = 75


def main() -> None:
    """Entry point of the `clipft` script."""
    for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
        if signal.getsignal(number) not in (None, signal.SIG_IGN):  # `nohup` has it ignored
            signal.signal(number, _leave)
    from .app import main as run

    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Outside of a command's own work, which hears signals by itself: nothing was begun, or all is told."""
    if Ending.code is not None:
        os._exit(Ending.code)
    is_resume = "--resume" in sys.argv
    cause = NAMES[signal.Signals(number).name]
    code = SAVED if is_resume else 128 + number
    text = f"{cause}: what was not finished is not kept"
    if is_resume:
        text = f"{cause} before the run went on; it is as it was saved"
    _write(2, text)
    if "--json" in sys.argv:
        kind = "interrupted, resumable" if is_resume else cause
        error = f'"kind": "{kind}", "exit_code": {code}, "message": "{text}", "hint": null'
        _write(1, f'{{"error": {{{error}}}}}')
    os._exit(code)


def _write(descriptor: int, line: str) -> None:
    with contextlib.suppress(OSError):  # closed, or nobody reads it: the exit code tells it still
        os.write(descriptor, f"{line}\n".encode())
