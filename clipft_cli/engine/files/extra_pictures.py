"""Formats of pictures for which Pillow has no reader, each by a package of an extra: a reader of Pillow's from then on.

A row of EXTRA_FORMATS is all that a further one needs. A package is loaded at the first picture of its format.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile


@dataclass(frozen=True)
class ExtraFormat:
    """`starts` says whether 132 bytes or more begin such a file; `reader` gives the class of Pillow's image file."""

    title: str
    package: str
    extra: str
    instead: str
    suffixes: tuple[str, ...]
    starts: Callable[[bytes], bool]
    reader: Callable[[], type[ImageFile.ImageFile]]

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def how_to_read(self) -> str:
        """What a person is told whose file cannot be read without the package."""
        return f"{self.title}: `pip install 'clipft-cli[{self.extra}]'`, or {self.instead}"


def register() -> None:
    """Makes the formats known to Pillow, those too whose package is not installed: their files are pictures."""
    for name, form in EXTRA_FORMATS.items():
        Image.register_open(name, _factory(form))  # Pillow shows a reader's own test 16 bytes, too few for these
        Image.register_extensions(name, list(form.suffixes))


def extra_format_of(start: bytes) -> ExtraFormat | None:
    """The format that a file which begins with `start` says it is of."""
    return next((form for form in EXTRA_FORMATS.values() if form.starts(start)), None)


def _factory(form: ExtraFormat) -> Callable[[Any, Any], ImageFile.ImageFile]:
    def opened(file: Any, name: Any) -> ImageFile.ImageFile:
        start = file.read(_N_BYTES)
        file.seek(0)
        if not form.starts(start) or not form.is_installed:
            raise SyntaxError(f"not {form.title}, or its package is missing")  # as Pillow asks of a reader
        return form.reader()(file, name)

    return opened


_N_BYTES = 132
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))


def _starts_like_heic(start: bytes) -> bool:
    """By its main brand, or one of those beside it: `mif1` alone is any picture in this container (ISO 23008-12)."""
    if start[4:8] != b"ftyp":
        return False
    box = start[8 : max(16, min(int.from_bytes(start[:4], "big"), _N_BYTES))]
    return any(box[at : at + 4] in _HEIC_BRANDS for at in range(0, len(box), 4))


def _starts_like_dicom(start: bytes) -> bool:
    """A preamble of 128 bytes of anything, then this word (DICOM PS3.10, section 7.1)."""
    return start[128:132] == b"DICM"


def _heic_reader() -> type[ImageFile.ImageFile]:
    from pillow_heif.as_plugin import HeifImageFile

    return HeifImageFile


def _dicom_reader() -> type[ImageFile.ImageFile]:
    from .dicom_picture import DicomImageFile

    return DicomImageFile


EXTRA_FORMATS = {
    "HEIF": ExtraFormat(
        title="a HEIC photograph",
        package="pillow_heif",
        extra="heic",
        instead="convert it to JPEG",
        suffixes=(".heic", ".heif", ".hif"),
        starts=_starts_like_heic,
        reader=_heic_reader,
    ),
    "DICOM": ExtraFormat(
        title="a DICOM image",
        package="pydicom",
        extra="dicom",
        instead="export it as PNG",
        suffixes=(".dcm", ".dicom"),
        starts=_starts_like_dicom,
        reader=_dicom_reader,
    ),
}
