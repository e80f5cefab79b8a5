"""Photographs of telephones and images of clinics are pictures everywhere, also without the package that reads them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.files.extra_pictures import EXTRA_FORMATS, extra_format_of
from clipft_cli.engine.files.pictures import is_picture, starts_like_image
from clipft_cli.engine.images.decode import ImageError, decode_image

HALVES = np.zeros((48, 64, 3), np.uint8)
HALVES[:, :32] = (220, 30, 30)
HALVES[:, 32:] = (30, 30, 220)


def heic(pixels: np.ndarray = HALVES, **how: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=90, **how)
    return buffer.getvalue()


def test_a_heic_photograph_is_decoded_as_any_other() -> None:
    seen = np.asarray(decode_image(heic())).astype(int)
    assert seen.shape == HALVES.shape
    assert np.abs(seen - HALVES).mean() < 4
    deep = pillow_heif.from_bytes("RGB;16", (64, 48), (HALVES.astype("<u2") * 257).tobytes())
    buffer = io.BytesIO()
    deep.save(buffer, quality=95)
    assert np.abs(np.asarray(decode_image(buffer.getvalue())).astype(int) - HALVES).mean() < 5


def test_it_stands_upright_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_image(heic(exif=exif.tobytes()))
    assert turned.size == (48, 64)
    top, bottom = np.asarray(turned)[8, 24], np.asarray(turned)[56, 24]
    assert top[0] > 150 > top[2]
    assert bottom[2] > 150 > bottom[0]


def test_a_picture_is_known_by_its_beginning_and_by_its_name(tmp_path: Path) -> None:
    assert starts_like_image(heic()[:512])
    assert starts_like_image(b"\0" * 128 + b"DICM" + b"\x02\0")
    assert not starts_like_image(b"\0" * 128 + b"DICK")
    assert not starts_like_image(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    assert extra_format_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic") is EXTRA_FORMATS["HEIF"]
    assert extra_format_of(b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf") is None
    for name in ("a.HEIC", "b.heif", "c.dcm"):
        (tmp_path / name).write_bytes(b"")
        assert is_picture(tmp_path / name)


@pytest.mark.parametrize("at", [16, 100, 400, -30])
def test_a_damaged_one_is_an_image_error(at: int) -> None:
    with pytest.raises(ImageError, match=r"damaged|truncated|cannot be read|too many"):
        decode_image(heic()[:at])


def test_prepare_takes_them_as_they_are(tmp_path: Path) -> None:
    for name, colour in {"red": (200, 20, 20), "blue": (20, 20, 200)}.items():
        for number in range(8):
            file = tmp_path / "photographs" / name / f"{number}.HEIC"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 40, (40, 40, 3)) + np.array(colour)
            file.write_bytes(heic(pixels.astype(np.uint8)))
    outcome = CliRunner().invoke(
        app, ["prepare", str(tmp_path / "photographs"), "--output-dir", str(tmp_path / "data")]
    )
    assert outcome.exit_code == 0, outcome.output
    kept = {file.read_bytes() for file in (tmp_path / "data").rglob("*.HEIC")}
    assert kept == {file.read_bytes() for file in (tmp_path / "photographs").rglob("*.HEIC")}


def test_without_the_package_it_is_said_what_reads_them(tmp_path: Path) -> None:
    for name in ("red", "blue"):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "photographs" / name / f"{number}.heic").write_bytes(heic())
    without = "import sys; sys.modules.update(pillow_heif=None); sys.argv[1:] = ['prepare', 'photographs'];"
    done = subprocess.run(
        [sys.executable, "-c", f"{without} from clipft_cli.cli.app import main; main()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "pip install 'clipft-cli[heic]'" in done.stderr
    assert "Traceback" not in done.stderr
