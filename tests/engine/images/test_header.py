from __future__ import annotations

import io

import pytest
from PIL import ExifTags, Image

from clipft_cli.engine.images.header import NOTHING_SAID, read_header


def jpeg(taken: str | None) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Maker", "One"
    if taken is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_time_and_camera_are_those_of_exif() -> None:
    first, second = read_header(jpeg("2024:05:01 12:00:00")), read_header(jpeg("2024:05:01 12:00:02"))
    assert first.camera == "Maker One"
    assert first.taken is not None
    assert second.taken is not None
    assert second.taken - first.taken == 2


@pytest.mark.parametrize("taken", [None, "", "0000:00:00 00:00:00", "yesterday", "9999:99:99 99:99:99"])
def test_a_time_that_is_none_is_not_there(taken: str | None) -> None:
    assert read_header(jpeg(taken)).taken is None


def test_what_is_no_image_says_nothing() -> None:
    assert read_header(b"Exif nothing") == NOTHING_SAID


def test_full_alpha_is_not_transparent() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(out, "PNG")
    assert not read_header(out.getvalue()).is_transparent
