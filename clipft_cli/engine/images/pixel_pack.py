"""Decoded images in one memory-mapped file: written once, checked as it is read, never half there.

    pixels of image 0, pixels of image 1, ...    (h, w, 3) uint8, each from a multiple of 64 bytes on
    entries                                      one an image, of `ENTRY`, zeros where it is not in the file
    the end: MAGIC, number of images, limit      and the SHA-256 of all that is not pixels

A file under its final name is whole. What happens to it afterwards is found: its length and the entries when it is
opened, the pixels of an image by a checksum when they are first read, and an image file that is another one since by
its size and times, in case of doubt by the digest of its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files.regular import MAX_WEIGHTS_BYTES, open_regular
from .decode import ImageError, read_image_bytes

ENTRY = np.dtype(
    [
        ("start", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("bytes", "<i8"),
        ("mtime_ns", "<i8"),
        ("ctime_ns", "<i8"),
        ("check", "<u4"),
    ]
)
MAGIC = b"clipft pixels 1\n"
_END = struct.Struct("<16sqq32s")
_ALIGNED = 64


class DamagedPack(Exception):
    """The file is not whole, or is of other images than asked for."""


class PixelPack:
    """The images of a finished file. Safe in threads."""

    def __init__(self, path: Path, key: str, n_images: int, on_damage: Callable[[str], None]) -> None:
        """Raises DamagedPack, and OSError where the file is not there."""
        self.path = path
        self._on_damage = on_damage
        self._lock = threading.Lock()
        self._is_damage_told = False
        with open_regular(path, MAX_WEIGHTS_BYTES) as file:
            self._entries, self.limit = _read_end(file.fileno(), key, n_images)
        self.n_bytes = path.stat().st_size
        self._pixels = np.memmap(path, dtype=np.uint8, mode="r")
        self._is_known = np.zeros(n_images, dtype=bool)

    def __len__(self) -> int:
        """Images that are in the file."""
        return int(np.count_nonzero(self._entries["height"]))

    def get(self, index: int, file: Path, sha256: str) -> np.ndarray | None:
        """(h, w, 3) uint8, read-only, of the image whose file and digest these are; None where it must be decoded.

        An image is looked at again, its file and its pixels, once a process, when it is first asked for.
        """
        entry = self._entries[index]
        if entry["height"] == 0:
            return None
        start, height, width = int(entry["start"]), int(entry["height"]), int(entry["width"])
        pixels: np.ndarray = self._pixels[start : start + height * width * 3].reshape(height, width, 3)
        if not self._is_known[index]:
            if not _is_same_file(file, entry, sha256):
                entry["height"] = 0
                return None
            if checksum(pixels) != entry["check"]:
                entry["height"] = 0
                self._tell_damage()
                return None
            self._is_known[index] = True
        return pixels

    def _tell_damage(self) -> None:
        with self._lock:
            if self._is_damage_told:
                return
            self._is_damage_told = True
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._on_damage(f"{self.path}: is damaged; what is damaged is decoded anew, and the file with the next run")


class PackWriter:
    """Writes the images of a pack into an open file. Raises OSError."""

    def __init__(self, file: BinaryIO, key: str, n_images: int, limit: int) -> None:
        self._file = file
        self._key = key
        self._limit = limit
        self._entries = np.zeros(n_images, dtype=ENTRY)

    def add(self, index: int, pixels: np.ndarray, status: os.stat_result) -> bool:
        """Whether there was room for it. `status` is of the image's file, from before it was read."""
        start = -(-self._file.tell() // _ALIGNED) * _ALIGNED
        if start + pixels.nbytes > self._limit:
            return False
        self._file.write(b"\0" * (start - self._file.tell()))
        pixels = np.ascontiguousarray(pixels)
        self._file.write(pixels.data)
        times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        self._entries[index] = (start, *pixels.shape[:2], *times, checksum(pixels))
        return True

    def finish(self, is_cut: bool) -> None:
        """Write the end, without which the file is none; `is_cut` where the limit has left images out."""
        limit = self._limit if is_cut else 0
        self._file.write(self._entries.tobytes())
        digest = _digest(self._key, self._entries, limit)
        self._file.write(_END.pack(MAGIC, len(self._entries), limit, digest))


def checksum(pixels: np.ndarray) -> int:
    """CRC-32 of the sums of 4 KiB each: as fast as memory, where a CRC of the pixels takes as long as decoding some."""
    flat = np.ascontiguousarray(pixels).reshape(-1)
    whole = flat.size // 4096 * 4096
    sums = np.add.reduce(flat[:whole].view(np.uint64).reshape(-1, 512), axis=1)
    return zlib.crc32(flat[whole:].tobytes(), zlib.crc32(sums.tobytes()))


def _digest(key: str, entries: np.ndarray, limit: int) -> bytes:
    return hashlib.sha256(b"".join((key.encode(), entries.tobytes(), str(limit).encode()))).digest()


def _read_end(descriptor: int, key: str, n_images: int) -> tuple[np.ndarray, int]:
    size = os.fstat(descriptor).st_size
    n_end = n_images * ENTRY.itemsize + _END.size
    content = os.pread(descriptor, n_end, max(0, size - n_end))
    if len(content) != n_end:
        raise DamagedPack("it is too short")
    magic, n, limit, digest = _END.unpack(content[-_END.size :])
    entries = np.frombuffer(content[: -_END.size], dtype=ENTRY).copy()
    if magic != MAGIC or n != n_images or digest != _digest(key, entries, limit):
        raise DamagedPack("its end is not that of these images")
    ends = entries["start"] + entries["height"].astype(np.int64) * entries["width"] * 3
    if (entries["height"] < 0).any() or (entries["start"] < 0).any() or ends.max(initial=0) > size - n_end:
        raise DamagedPack("it is too short")
    return entries, int(limit)


def _is_same_file(file: Path, entry: np.void, sha256: str) -> bool:
    try:
        status = os.stat(file)
        if (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (
            entry["bytes"],
            entry["mtime_ns"],
            entry["ctime_ns"],
        ):
            return True
        return hashlib.sha256(read_image_bytes(file)).hexdigest() == sha256
    except (OSError, ImageError):
        return False


def pack_key(kind: Sequence[object], digests: Sequence[str]) -> str:
    """Name of the file that holds images of these digests, as `kind` says they are made."""
    return hashlib.sha256(repr((MAGIC, tuple(kind), tuple(digests))).encode()).hexdigest()[:32]
