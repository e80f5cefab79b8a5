"""What a picture is: by its first bytes, whatever its name; so for `prepare`, `predict` and `evaluate` alike."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from PIL import Image

from .extra_pictures import EXTRA_FORMATS, extra_format_of, register
from .regular import open_regular

FORMATS = frozenset(
    "AVIF BMP DIB GIF ICO JPEG JPEG2000 MPO PCX PNG PPM QOI SGI TGA TIFF WEBP".split()  # noqa: SIM905
) | frozenset(EXTRA_FORMATS)
"""What is read; not EPS or WMF, for which Pillow starts other programs."""

N_BYTES = 512
_PLAIN_PPM = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+\d+\s")


def starts_like_image(start: bytes) -> bool:
    """Whether a file that begins with `start` says it is of a format that is read.

    Pillow's readers know their own beginnings. Some are two letters, with which a text may begin too, so a byte
    that no text holds must follow.
    """
    if _PLAIN_PPM.match(start):
        return True
    known = extra_format_of(start) is not None or any(_accepts(name, start) for name in _formats_with_a_start())
    return known and is_binary(start)


def is_binary(start: bytes) -> bool:
    """Whether the first bytes are none of a text, nor of a list of names."""
    return b"\0" in start


def is_picture(file: Path) -> bool:
    """Whether a file is a picture: by its content, or by its suffix, in which case it may turn out damaged."""
    return file.suffix.lower() in image_suffixes() or starts_like_image(_start_of(file))


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case with their dot, of the formats that are read."""
    _know_all_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS)


@cache
def readable_formats() -> tuple[str, ...]:
    """As Pillow calls them, in the order in which they are tried: what needs a package last."""
    _know_all_formats()
    return tuple(
        sorted((name for name in FORMATS if name in Image.OPEN), key=lambda name: (name in EXTRA_FORMATS, name))
    )


@cache
def _know_all_formats() -> None:
    Image.init()
    register()


@cache
def _formats_with_a_start() -> tuple[str, ...]:
    return tuple(name for name in readable_formats() if Image.OPEN[name][1] is not None)


def _accepts(name: str, start: bytes) -> bool:
    accept = Image.OPEN[name][1]
    try:
        return accept is not None and accept(start) is True
    except Exception:  # Pillow's plugins index into what may be shorter
        return False


def _start_of(file: Path) -> bytes:
    """The first bytes of a regular file; none where it cannot be read."""
    with suppress(OSError, ValueError), open_regular(file) as opened:
        return opened.read(N_BYTES)
    return b""
