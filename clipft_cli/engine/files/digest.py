"""The digest of a file, by which it is known again."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from .regular import MAX_WEIGHTS_BYTES, open_regular

_PIECE = 16 << 20
"""Bytes read at a time: after each, a thread that hashes beside others waits for the interpreter's lock."""


class GivenUp(OSError):
    """Nobody waits for the digest any more."""


def file_digest(path: Path, is_unwanted: threading.Event | None = None) -> str:
    """sha256 of a regular file's bytes, in hex. Raises OSError, and GivenUp once `is_unwanted` is set."""
    digest = hashlib.sha256()
    with open_regular(path, MAX_WEIGHTS_BYTES) as file:
        buffer = memoryview(bytearray(min(_PIECE, max(path.stat().st_size, 1))))
        while n_read := file.readinto(buffer):  # type: ignore[attr-defined]
            if is_unwanted is not None and is_unwanted.is_set():
                raise GivenUp
            digest.update(buffer[:n_read])
    return digest.hexdigest()
