"""The digest of a file, by which it is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE = 16 << 20
"""Bytes read at a time: after each, a thread that hashes beside others waits for the interpreter's lock."""


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(min(_PIECE, max(path.stat().st_size, 1))))
        while n_read := file.readinto(buffer):
            digest.update(buffer[:n_read])
    return digest.hexdigest()
