"""Text of files that others may have made: a device or a pipe in place of one would never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 2 << 30


def regular_text(path: Path, encoding: str = "utf-8", max_bytes: int = MAX_BYTES) -> str:
    """The text of a regular file. Raises OSError where it is none or cannot be read, ValueError where it is no text."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, encoding=encoding) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()
