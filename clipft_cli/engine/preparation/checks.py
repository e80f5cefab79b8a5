"""Looking at every image once: decoded in full, hashed by content and by what it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..images.decode import ImageError, decode_image, read_image_bytes
from ..machine.hardware import worker_count
from ..sources.listing import Item
from ..sources.problems import Problem

THUMB_PX = 16
_SMALL_PX = 256


@dataclass(frozen=True)
class Picture:
    """An image that can be used.

    `phash` and `dhash` are 64-bit perceptual hashes, `thumb` is (16, 16, 3) uint8; `width` and `height`
    are as seen, after EXIF orientation.
    """

    item: Item
    sha256: str
    bytes: int
    width: int
    height: int
    phash: int
    dhash: int
    thumb: np.ndarray


def look_at(item: Item) -> Picture | Problem:
    """The picture in a file, or why it cannot be used."""
    try:
        data = read_image_bytes(item.file)
        image = decode_image(data)
    except ImageError as error:
        return Problem(item.name, error.reason, error.detail, item.label)
    thumb = np.asarray(_small(image).resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX))
    phash, dhash = _hashes(_small(image))
    sha256 = hashlib.sha256(data).hexdigest()
    return Picture(item, sha256, len(data), image.width, image.height, phash, dhash, thumb)


def _small(image: Image.Image) -> Image.Image:
    """`image` reduced by a whole factor: hashes of a large photograph cost little and stay the same."""
    factor = min(image.size) // _SMALL_PX
    return image.reduce(factor) if factor > 1 else image


def _hashes(image: Image.Image) -> tuple[int, int]:
    import imagehash

    gray = image.convert("L")
    return tuple(_as_int(kind(gray, hash_size=8).hash) for kind in (imagehash.phash, imagehash.dhash))  # type: ignore[return-value]


def _as_int(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits.flatten()).tobytes(), "big")


def look_at_all(items: Sequence[Item], on_done: Callable[[int, int], None]) -> tuple[list[Picture], list[Problem]]:
    """Every item as a picture or a problem, in the order of `items`; threads, since decoding leaves the GIL."""
    pictures: list[Picture] = []
    problems: list[Problem] = []
    with ThreadPoolExecutor(worker_count("auto")) as pool:
        try:
            for n, found in enumerate(pool.map(look_at, items), start=1):
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
