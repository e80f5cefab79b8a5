"""What the header of an image file says beside its pixels: pages, transparency, and when which camera took it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from ..files.pictures import readable_formats
from .samples import bits_used

_ONE_PICTURE = frozenset({"JPEG", "MPO"})
"""Formats of one picture: further ones in an MPO are the same shot, made for previews and depth."""


@dataclass(frozen=True)
class Header:
    """`taken` is in seconds on the camera's own clock, None where it is not said; `camera` names one device.

    `bits`: as `samples.bits_used` says it of a picture that stores more than eight.
    """

    n_pages: int = 1
    is_transparent: bool = False
    taken: float | None = None
    camera: str = ""
    bits: int | None = None


NOTHING_SAID = Header()


def read_header(data: bytes) -> Header:
    """The header of an image that can be decoded. What is damaged in it counts as not there."""
    if _says_nothing(data):
        return NOTHING_SAID
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=readable_formats()) as image:
                taken, camera = _shot(image) if b"Exif" in data[:65536] or image.format == "TIFF" else (None, "")
                is_transparent = _is_transparent(image)
                return Header(_n_pages(image), is_transparent, taken, camera, bits_used(data, image))
    except Exception:  # of whatever kind a damaged header raises: the pixels could be read
        return Header()


def _says_nothing(data: bytes) -> bool:
    """Whether the first bytes rule out all that is asked here: most files are not opened a second time."""
    start = data[:65536]
    if data.startswith(b"\xff\xd8"):
        return b"Exif" not in start
    if data.startswith(b"\x89PNG"):
        has_eight_bits, is_opaque = data[24:25] <= b"\x08", data[25:26] in (b"\0", b"\2") and b"tRNS" not in start
        return has_eight_bits and is_opaque and b"acTL" not in start and b"eXIf" not in start
    return False


def _n_pages(image: Image.Image) -> int:
    return 1 if image.format in _ONE_PICTURE else int(getattr(image, "n_frames", 1))


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel lets something through that is not there."""
    if not image.has_transparency_data:
        return False
    alpha = image.convert("RGBA").getchannel("A").getextrema()
    return int(alpha[0]) < 255  # type: ignore[arg-type]


def _shot(image: Image.Image) -> tuple[float | None, str]:
    exif = image.getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    base = ExifTags.Base
    parts: list[Any] = [exif.get(base.Make), exif.get(base.Model), details.get(base.BodySerialNumber)]
    text = details.get(base.DateTimeOriginal) or exif.get(base.DateTime)
    try:
        taken = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").timestamp()
        taken += float(f"0.{str(details.get(base.SubsecTimeOriginal, 0)).strip() or 0}")
    except (ValueError, OverflowError, OSError):
        return None, ""
    return taken, " ".join(str(part).strip("\0 ") for part in parts if part)
