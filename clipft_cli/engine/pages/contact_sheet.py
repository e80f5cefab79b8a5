"""`reading.html`: a few pictures of each class as they were read, to be looked at before anything is trained."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from ...errors import ResourceError
from ..files.visible import visible
from ..files.write import write_text
from ..images.decode import ImageError, decode_image, read_image_bytes
from ..machine.hardware import worker_count
from ..preparation.reading import ReadClass, Reading
from ..sources.listing import Item
from .page import render

MAX_CLASSES = 1000
PICTURES_A_CLASS = 4
_SIDE_PX, _MANY_SIDE_PX, _MANY_CLASSES = 112, 72, 100
"""Side of a picture, and its side where there are many classes: a page of 1,000 classes stays below 10 MB."""


@dataclass(frozen=True)
class ShownClass:
    """A class of the page: its pictures as (data URI, or empty where it cannot be read; name of the file)."""

    read: ReadClass
    pictures: Sequence[tuple[str, str]]


def contact_sheet(reading: Reading, items: Iterable[Item]) -> str:
    """One page that needs nothing else; of more than MAX_CLASSES classes the first are shown."""
    shown = reading.classes[:MAX_CLASSES]
    side = _SIDE_PX if len(shown) <= _MANY_CLASSES else _MANY_SIDE_PX
    of_class: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        of_class[item.label].append(item)
    chosen = [_spread(of_class[read.name]) for read in shown]
    with ThreadPoolExecutor(worker_count("auto")) as pool:
        uris = list(pool.map(lambda item: _small(item.file, side), [item for found in chosen for item in found]))
    classes, at = [], 0
    for read, found in zip(shown, chosen, strict=True):
        pictures = [(uri, visible(item.name)) for uri, item in zip(uris[at:], found, strict=False)]
        classes.append(ShownClass(read, pictures))
        at += len(found)
    return render("reading.html.j2", reading=reading, classes=classes, side=side)


def write_sheet(path: Path, reading: Reading, items: Iterable[Item]) -> None:
    """Write the page, whole. Raises ResourceError where it cannot be written."""
    try:
        write_text(path, contact_sheet(reading, items))
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror}", hint="choose another file") from None


def _spread(items: Sequence[Item]) -> list[Item]:
    """A few, from the whole of a class and not only its beginning."""
    n = min(PICTURES_A_CLASS, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def _small(path: Path, side_px: int) -> str:
    """The picture as a data URI of a small JPEG; empty where it cannot be read."""
    try:
        data = read_image_bytes(path)
        image = ImageOps.fit(_reduced(data, side_px) or decode_image(data), (side_px, side_px))
    except ImageError:
        return ""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _reduced(data: bytes, side_px: int) -> Image.Image | None:
    """A JPEG decoded at the smallest of its sizes that will do; None for what is none, or is damaged."""
    if not data.startswith(b"\xff\xd8"):
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in ("RGB", "L"):
                return None
            image.draft("RGB", (side_px, side_px))
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # whatever a damaged file makes of Pillow: the decoder of the project says what it is
        return None
