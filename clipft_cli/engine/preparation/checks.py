"""Looking at every image once: decoded in full, hashed by content and by what it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.fft import dctn

from ..images.decode import ImageError, decode_image, read_image_bytes
from ..images.header import NOTHING_SAID, Header, read_header
from ..machine.ahead import Ahead
from ..machine.hardware import worker_count
from ..sources.listing import Item
from ..sources.problems import Problem

THUMB_PX = 16
_SMALL_PX = 256
_HASH_SIDE = 8
_AHEAD = 64
"""Images a worker may be ahead of the one that is waited for."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that can be used.

    `phash` and `dhash` are 64-bit perceptual hashes, `thumb` is (16, 16, 3) uint8, `frequencies` (8, 8) float32 the
    cosine terms that `phash` is made of; `width` and `height` are as seen, after EXIF orientation. `header` is what the
    file says of itself.
    """

    item: Item
    sha256: str
    bytes: int
    width: int
    height: int
    phash: int
    dhash: int
    thumb: np.ndarray
    frequencies: np.ndarray
    header: Header = NOTHING_SAID


def look_at(item: Item) -> Picture | Problem:
    """The picture in a file, or why it cannot be used."""
    try:
        data = read_image_bytes(item.file)
        image = decode_image(data)
    except ImageError as error:
        return Problem(item.name, error.reason, error.detail, item.label)
    small = _small(image)
    thumb = np.asarray(small.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX))
    gray = small.convert("L")
    frequencies = _frequencies(gray)
    sha256 = hashlib.sha256(data).hexdigest()
    phash, dhash = _as_int(frequencies > np.median(frequencies)), _dhash(gray)
    return Picture(
        item=item,
        sha256=sha256,
        bytes=len(data),
        width=image.width,
        height=image.height,
        phash=phash,
        dhash=dhash,
        thumb=thumb,
        frequencies=frequencies.astype(np.float32),
        header=read_header(data),
    )


def _small(image: Image.Image) -> Image.Image:
    """`image` reduced by a whole factor: hashes of a large photograph cost little and stay the same."""
    factor = min(image.size) // _SMALL_PX
    return image.reduce(factor) if factor > 1 else image


def _frequencies(gray: Image.Image) -> np.ndarray:
    """(8, 8) lowest cosine terms of the picture at 32 x 32. Those above their median are imagehash.phash."""
    pixels = np.asarray(gray.resize((4 * _HASH_SIDE, 4 * _HASH_SIDE), Image.Resampling.LANCZOS), np.float64)
    return np.asarray(dctn(pixels)[:_HASH_SIDE, :_HASH_SIDE])


def _dhash(gray: Image.Image) -> int:
    """Where it grows lighter from left to right: imagehash.dhash."""
    pixels = np.asarray(gray.resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.LANCZOS))
    return _as_int(pixels[:, 1:] > pixels[:, :-1])


def _as_int(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits.flatten()).tobytes(), "big")


def look_at_all(items: Sequence[Item], on_done: Callable[[int, int], None]) -> tuple[list[Picture], list[Problem]]:
    """Every item as a picture or a problem, in the order of `items`; threads, since decoding leaves the GIL."""
    pictures: list[Picture] = []
    problems: list[Problem] = []
    n_workers = worker_count("auto")
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for n, found in enumerate(Ahead(pool, look_at, items, _AHEAD * n_workers), start=1):
                if isinstance(found, Picture):
                    pictures.append(found)
                else:
                    problems.append(found)
                if n % 16 == 0 or n == len(items):
                    on_done(n, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return pictures, problems
