"""clipft at a terminal, with keys that were typed ahead."""

from __future__ import annotations

import os
import subprocess
import sys

CLIPFT = [sys.executable, "-m", "clipft_cli"]


def at_a_terminal(typed: str, *arguments: str) -> tuple[int, str]:
    """Exit code and what the screen showed."""
    import pty  # Windows has none

    mine, theirs = pty.openpty()
    with subprocess.Popen([*CLIPFT, *arguments], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(mine, typed.encode())
        shown = b""
        try:
            while block := os.read(mine, 4096):
                shown += block
        except OSError:  # the other side is closed
            pass
        code = process.wait(60)
    os.close(mine)
    return code, shown.decode(errors="replace")
