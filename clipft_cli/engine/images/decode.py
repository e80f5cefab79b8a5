"""One image file to one RGB picture, or one short reason why not: the only decoder of this project.

Training, validation and prediction all read images here, so a picture means the same everywhere.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ...errors import NO_PERMISSION, DataError, how_to_open
from ..files.extra_pictures import extra_format_of
from ..files.pictures import readable_formats
from ..files.stalls import reading
from .samples import as_rgb, load

MAX_PIXELS = 89_478_485
"""Largest picture that is decoded: Pillow's own threshold of suspicion, a quarter of a GiB as RGB."""

MAX_BYTES = 512 << 20

ORIENTATION_TAG = 0x0112
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's logger would reach standard error through logging's handler of last resort
logging.getLogger("PIL").addHandler(logging.NullHandler())


NOT_FOUND = "file not found"
PASSING_REASONS = frozenset({NOT_FOUND, NO_PERMISSION, "cannot be read"})
"""What may be over in a moment where the files lie on a network."""


class ImageError(DataError):
    """One file that is no usable image. `reason` is short and the same for all files of its kind."""

    def __init__(self, reason: str, detail: str = "", *, where: str = "") -> None:
        self.reason = reason
        self.detail = detail
        self.where = where
        super().__init__(f"{where}: {self.text}" if where else self.text)

    @property
    def text(self) -> str:
        """The reason with what is particular to this file."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def decode_image(source: Path | bytes) -> Image.Image:
    """The picture in a file, or in the bytes of one, as a fully decoded RGB image.

    EXIF orientation is applied (values that are no orientation are ignored), transparency is put on white (on black
    where nothing would be seen), 16-bit and float samples are scaled to 8 bits, and of an animation the first frame
    is taken.
    Raises ImageError, and nothing else, for whatever is no picture that can be used.
    """
    where = str(source) if isinstance(source, Path) else ""
    try:
        data = read_image_bytes(source) if isinstance(source, Path) else bytes(source)
        return _decode(data)
    except ImageError as error:
        raise ImageError(error.reason, error.detail, where=where) from None


def rgb_of(picture: Image.Image | np.ndarray) -> Image.Image:
    """A picture in memory as `decode_image` would give it from a file: upright, RGB, transparency on white.

    An array is uint8 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Raises ImageError.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    with _as_image_error():
        _check_size(picture)
        picture.load()
        return _upright(as_rgb(picture), _orientation(picture))


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8:
        raise ImageError("not an image that can be read", f"an array of {array.dtype}; uint8, 0 to 255, is needed")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise ImageError("not an image that can be read", f"an array of shape {array.shape}; (H, W, 3) is needed")
    if array.size == 0:
        raise ImageError("no pixels", f"{array.shape[1]} x {array.shape[0]}")
    return Image.fromarray(np.ascontiguousarray(array))


def read_image_bytes(path: Path) -> bytes:
    """The content of a regular file of at most MAX_BYTES. Raises ImageError."""
    where = str(path)
    try:
        with reading(where), open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file", where=where)
            if status.st_size > MAX_BYTES:
                raise ImageError("file too large", f"{status.st_size >> 20} MiB", where=where)
            # not read(MAX_BYTES): that would set half a GiB aside for every file
            return file.read(status.st_size)
    except FileNotFoundError:
        raise ImageError(NOT_FOUND, where=where) from None
    except IsADirectoryError:
        raise ImageError("a folder, not a file", where=where) from None
    except PermissionError:
        raise ImageError(NO_PERMISSION, how_to_open(path), where=where) from None
    except (OSError, ValueError) as error:
        raise ImageError("cannot be read", getattr(error, "strerror", None) or str(error), where=where) from None


def why_not_there(name: str) -> str:
    """Of a file that does not seem to exist: nothing under that name, or a folder that may not be looked into."""
    try:
        os.stat(name)
    except PermissionError:
        return f"{NO_PERMISSION} ({how_to_open(name)})"
    except (OSError, ValueError):
        pass
    return NOT_FOUND


def _open_without_waiting(path: str, flags: int) -> int:
    # a named pipe without a writer would otherwise block for ever
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode_reduced(data: bytes, shorter_px: int) -> np.ndarray:
    """(H, W, 3) uint8 of the picture in the bytes of a file, for training: `decode_image`, perhaps smaller.

    Where the shorter side is at least twice `shorter_px` it is reduced by a whole number, which leaves at least
    `shorter_px`; a JPEG is then decoded at 1/2, 1/4 or 1/8 already. Else the pixels are those of `decode_image`.
    Raises ImageError.
    """
    with _opened(data) as image:
        if image.format == "JPEG" and min(image.size) < 2 * shorter_px and image.mode in ("RGB", "L"):
            plain = _plain_jpeg(data, image)
            if plain is not None:
                return plain
        if image.format in ("JPEG", "MPO"):
            image.draft(image.mode, (shorter_px, shorter_px))
        loaded = load(data, image)
        _check_size(image)
        upright = _upright(as_rgb(loaded), _orientation(image))
        return np.asarray(upright.reduce(max(1, min(upright.size) // shorter_px)))


def _plain_jpeg(data: bytes, image: Image.Image) -> np.ndarray | None:
    """(H, W, 3) of an upright JPEG, decoded by libjpeg with no detour through Pillow's four bytes a pixel.

    The same pixels, a quarter faster; None where it is not sure of them, which leaves the picture to Pillow.
    """
    if _orientation(image) != 1:
        return None
    import torch  # heavy, and loaded long before anything is trained
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    except RuntimeError:
        return None
    array: np.ndarray = pixels.permute(1, 2, 0).contiguous().numpy()
    return array if array.shape == (image.height, image.width, 3) else None


def _decode(data: bytes) -> Image.Image:
    with _opened(data) as image:
        loaded = load(data, image)
        _check_size(image)
        return _upright(as_rgb(loaded), _orientation(image))


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height as the picture is seen, from its header. Raises ImageError for what is no picture."""
    with _opened(data) as image:
        is_turned = _orientation(image) >= 5
        return (image.height, image.width) if is_turned else image.size


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture's header, of a size that may be decoded; whatever goes wrong in the block is an ImageError."""
    if not data:
        raise ImageError("empty file")
    with _as_image_error():
        try:
            image = Image.open(io.BytesIO(data), formats=readable_formats())
        except UnidentifiedImageError:
            raise ImageError(_what_it_is_instead(data)) from None
        with image:
            _check_size(image)
            yield image


@contextmanager
def _as_image_error() -> Iterator[None]:
    """Whatever goes wrong with a picture in the block is an ImageError."""
    _silence_pillow()
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError("too many pixels", f"the limit is {MAX_PIXELS:,}") from None
    except MemoryError:
        raise ImageError("does not fit into memory") from None
    except Exception as error:  # Pillow's plugins raise nearly every type on damaged files
        raise _damage(error) from None


def _silence_pillow() -> None:
    """Pillow's remarks on metadata say nothing to a person; `catch_warnings` is not safe in threads."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _silence_libtiff()


@cache
def _silence_libtiff() -> None:
    """libtiff prints on the process's standard error by itself; what it says is raised by Pillow too."""
    with suppress(OSError, AttributeError, TypeError):
        libtiff = ctypes.CDLL(Image.core.__file__)
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("no pixels", f"{width} x {height}")
    if width * height > MAX_PIXELS:
        raise ImageError("too many pixels", f"{width} x {height}, the limit is {MAX_PIXELS:,}")


def _damage(error: Exception) -> ImageError:
    text = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    if "truncated" in text.lower():
        return ImageError("truncated image", text)
    return ImageError("damaged image", text)


_LOOKS_LIKE = {
    b"version https://git-lfs": "a Git LFS pointer, not the image: run `git lfs pull`",
    b"<!doctype html": "a web page, not an image",
    b"<html": "a web page, not an image",
    b"<svg": "an SVG drawing: export it as PNG",
    b"%pdf": "a PDF document, not an image",
    b"pk\x03\x04": "a zip archive, not an image",
}


def _what_it_is_instead(data: bytes) -> str:
    start = data[:256].lstrip().lower()
    for lead, reason in _LOOKS_LIKE.items():
        if start.startswith(lead):
            return reason
    extra = extra_format_of(data[:256])
    if extra is not None:
        return f"{extra.title} that cannot be read" if extra.is_installed else extra.how_to_read
    if b"\0" not in start and start.decode("ascii", "ignore").encode() == start:
        return "text, not an image"
    return "not an image that can be read"


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
        return value if value in _TURN else 1
    except Exception:  # metadata after the pixels can be broken while the picture is whole
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURN[orientation]) if orientation in _TURN else image
