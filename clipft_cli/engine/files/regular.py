"""Files that others may have made or named: a device or a pipe in place of one would never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ...errors import NoPermission

MAX_BYTES = 2 << 30
MAX_WEIGHTS_BYTES = 256 << 30
"""Far above any published CLIP."""


def open_regular(path: Path, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """A regular file of at most `max_bytes`, open for reading. Nothing is waited for.

    Raises NoPermission, and OSError where it is no regular file, larger, or cannot be read.
    """
    try:
        return _open(path, max_bytes)
    except PermissionError:
        raise NoPermission(path) from None  # neither missing nor damaged, whatever a reader makes of other failures


def _open(path: Path, max_bytes: int) -> BinaryIO:
    # a named pipe without a writer would otherwise block for ever
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb", buffering=0)


def as_regular(path: Path) -> Path:
    """`path`, for a library that opens a file by its name. Raises as `open_regular` does."""
    with open_regular(path, MAX_WEIGHTS_BYTES):
        return path


def regular_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file. Raises OSError."""
    with open_regular(path, max_bytes) as file:
        content: bytes = file.read()  # all of it: raw files read to their end
        return content


def regular_text(path: Path, encoding: str = "utf-8", max_bytes: int = MAX_BYTES) -> str:
    """The text of a regular file, its line ends as \\n. Raises OSError where it is none or cannot be read, ValueError
    where it is no text.
    """
    text = regular_bytes(path, max_bytes).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_weights_file(path: Path) -> None:
    """For a file that a description from elsewhere names: raises ValueError or OSError for what is no safetensors file.

    Nothing but its head is read, which says how long the file must be: one that has no end, or 200 GiB of nothing, is
    refused before it is read through.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: is no .safetensors file")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(as_regular(path), "numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from None
