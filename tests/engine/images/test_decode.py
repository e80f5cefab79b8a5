from __future__ import annotations

import csv
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from small_pictures import picture

from clipft_cli.engine.images.decode import MAX_PIXELS, ImageError, decode_image, decode_reduced


def png_bytes(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture(1).save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as stored:
        upright = ImageOps.exif_transpose(stored)
    assert np.array_equal(np.asarray(decode_image(tmp_path / "a.jpg")), np.asarray(upright))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_a_number_that_is_no_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture(1).save(tmp_path / "a.jpg", exif=exif)
    assert decode_image(tmp_path / "a.jpg").size == (48, 40)


def test_transparent_pixels_become_white_and_half_transparent_ones_lighter() -> None:
    image = Image.new("RGBA", (3, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (200, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    decoded = np.asarray(decode_image(png_bytes(image)))
    assert decoded[0].tolist() == [[200, 0, 0], [255, 255, 255], [127, 127, 127]]


def test_a_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    image.putpixel((1, 0), 1)
    decoded = np.asarray(decode_image(png_bytes(image, transparency=1)))
    assert decoded[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_sixteen_bit_gray_is_scaled_not_clipped() -> None:
    samples = np.array([[0, 128 * 257, 65535]], np.uint16)
    decoded = np.asarray(decode_image(png_bytes(Image.fromarray(samples))))
    assert decoded[0, :, 0].tolist() == [0, 128, 255]


def test_twelve_bit_samples_in_a_sixteen_bit_tiff_use_their_own_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 4095]], np.uint16)).save(tmp_path / "a.tif")
    assert np.asarray(decode_image(tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 255]


def test_float_samples_between_zero_and_one_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "a.tif")
    assert np.asarray(decode_image(tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    buffer = io.BytesIO()
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    picture(2).convert(mode).save(buffer, kind)
    decoded = decode_image(buffer.getvalue())
    assert (decoded.mode, decoded.size) == ("RGB", (48, 40))


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert decode_image(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


def test_a_jpeg_cut_short_is_refused_though_it_opens(tmp_path: Path) -> None:
    picture(3, (200, 200)).save(tmp_path / "a.jpg", quality=95)
    data = (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(ImageError) as error:
        decode_image(data[: len(data) * 2 // 3])
    assert error.value.reason == "truncated image"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"just some text", "text, not an image"),
        (b"<!DOCTYPE html><html>", "a web page, not an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, not the image: run `git lfs pull`"),
        (b"\x00\x01\x02\xff" * 20, "not an image that can be read"),
        (b"%PDF-1.4", "a PDF document, not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "text, not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC photograph that cannot be read"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        decode_image(data)
    assert error.value.reason == reason


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(ImageError) as error:
        decode_image(png_header(side, side))
    assert error.value.reason == "too many pixels"
    assert str(side) in error.value.detail


def test_a_missing_file_a_folder_and_a_pipe_each_have_their_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    expected = {"none.jpg": "file not found", ".": "a folder, not a file", "pipe.jpg": "not a regular file"}
    for name, reason in expected.items():
        with pytest.raises(ImageError) as error:
            decode_image(tmp_path / name)
        assert error.value.reason in (reason, "not a regular file")
        assert str(tmp_path) in error.value.message


def test_cut_and_damaged_files_end_in_an_image_error_or_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    reasons = set()
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        buffer = io.BytesIO()
        picture(4).save(buffer, kind)
        whole = buffer.getvalue()
        for _ in range(25):
            data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.4 else whole)
            for at in rng.integers(0, len(data), 4):
                data[at] = int(rng.integers(0, 256))
            try:
                assert decode_image(bytes(data)).mode == "RGB"
            except ImageError as error:
                reasons.add(error.reason)
    assert {"truncated image", "damaged image"} <= reasons


def test_decoding_imports_neither_torch_nor_torchvision() -> None:
    code = "import sys, clipft_cli.engine.images.decode; print([m for m in sys.modules if m.startswith('torch')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


NOT_DECODED = {
    "truncated/truncated_jpeg.jpg": "truncated image",
    "truncated/truncated_image.png": "truncated image",
    "truncated/truncated_end_chunk.png": "truncated image",
    "truncated/broken.png": "not an image that can be read",
    "truncated/broken_data_stream.png": "damaged image",
    "truncated/seek_too_large.tif": "damaged image",
    "truncated/invalid_header_length.jp2": "not an image that can be read",
    "truncated/timeout-6646305047838720": "truncated image",
    "truncated/sgi_crash.bin": "damaged image",
    "bomb/decompression_bomb.gif": "too many pixels",
    "bomb/decompression_bomb.ico": "too many pixels",
    "bomb/oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "not an image that can be read",
    "mode/00r1_graya_la.jp2": "damaged image",
    "animated/zero_width.gif": "not an image that can be read",
    "animated/apng__syntax_num_frames_zero.png": "damaged image",
    "not_images/empty.jpg": "empty file",
    "not_images/text.jpg": "text, not an image",
    "not_images/page.png": "a web page, not an image",
    "not_images/lfs_pointer.jpg": "a Git LFS pointer, not the image: run `git lfs pull`",
}


def test_the_hard_images_each_end_as_they_should(capfd: pytest.CaptureFixture[str]) -> None:
    shared = os.environ.get("CLIPFT_SHARED_DATA")
    if not shared:
        pytest.skip("CLIPFT_SHARED_DATA names no folder of hard images")
    root = Path(shared) / "hard_images"
    with open(root / "table.csv", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in names:
            try:
                assert decode_image(root / name).mode == "RGB"
            except ImageError as error:
                found[name] = error.reason
    assert found == NOT_DECODED
    assert capfd.readouterr().err == ""


def jpeg_bytes(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}], ids=str)
def test_small_pictures_for_training_are_the_very_pixels(mode: str, options: dict) -> None:
    data = jpeg_bytes(picture(3).resize((151, 97)).convert(mode), **options)
    assert np.array_equal(decode_reduced(data, 64), np.asarray(decode_image(data)))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_large_pictures_for_training_are_halved_as_often_as_the_crops_allow(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture(4).resize((403, 301), Image.Resampling.BICUBIC).save(buffer, kind, exif=exif)
    whole = decode_image(buffer.getvalue())
    half = decode_reduced(buffer.getvalue(), 150)
    assert min(half.shape[:2]) in (150, 151)
    assert half.flags.c_contiguous
    filtered = np.asarray(whole.resize((half.shape[1], half.shape[0]), Image.Resampling.BOX)).astype(int)
    assert np.abs(half - filtered).mean() < 2
    assert np.array_equal(decode_reduced(buffer.getvalue(), 151), np.asarray(whole))
    assert min(decode_reduced(buffer.getvalue(), 100).shape[:2]) in range(100, 152)


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_bombs_are_refused_for_training_too(side: int) -> None:
    with pytest.raises(ImageError, match="too many pixels"):
        decode_reduced(png_header(side, side), 32)


def test_half_a_jpeg_is_refused_for_training_too() -> None:
    data = jpeg_bytes(picture(1).resize((300, 200)))
    for shorter_px in (50, 190):
        with pytest.raises(ImageError, match="truncated image"):
            decode_reduced(data[: len(data) // 2], shorter_px)


def deep_png(samples: np.ndarray) -> bytes:
    """A PNG of 16-bit samples (H, W, C): 1 grey, 3 RGB, 4 RGBA."""
    height, width, channels = samples.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bit_files_of_fewer_bits_use_their_own_range(bits: int, channels: int) -> None:
    top = 2**bits - 1
    row = np.array([0, top // 2, top], np.uint16)[None, :, None].repeat(channels, axis=2)
    decoded = np.asarray(decode_image(deep_png(row)))
    assert decoded[0, :, 0].tolist() == [0, 127, 255]
    assert (decoded == decoded[..., :1]).all()


def test_colours_of_twelve_bits_keep_their_transparency() -> None:
    row = np.array([[[0, 2048, 4095, 65535], [4095, 0, 0, 0]]], np.uint16)
    assert np.asarray(decode_image(deep_png(row)))[0].tolist() == [[0, 128, 255], [255, 255, 255]]


def test_a_white_drawing_on_nothing_is_put_on_black_and_a_dark_one_on_white() -> None:
    for ink, ground in ((255, 0), (0, 255)):
        image = Image.new("RGBA", (4, 4), (ink, ink, ink, 0))
        image.putpixel((1, 2), (ink, ink, ink, 255))
        decoded = np.asarray(decode_image(png_bytes(image)))[..., 0]
        assert decoded[2, 1] == ink
        assert decoded[0, 0] == ground


def deep_tiff(samples: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF of (height, width, 3) uint16, which Pillow reads and does not write."""
    height, width, _ = samples.shape
    data = samples.astype(f"{order}u2").tobytes()
    depths = 8 + 2 + 9 * 12 + 4
    pixels = depths + 6
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, depths),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, pixels),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    for tag, kind, n, value in tags:
        is_short = kind == 3 and n == 1
        head += struct.pack(f"{order}HHI", tag, kind, n)
        head += struct.pack(f"{order}HH", value, 0) if is_short else struct.pack(f"{order}I", value)
    return head + struct.pack(f"{order}I3H", 0, 16, 16, 16) + data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [12, 16])
def test_sixteen_bit_colours_of_tiff_use_their_own_range_too(order: str, bits: int) -> None:
    top = 2**bits - 1
    samples = np.array([[[0, top // 2, top], [top, 0, top // 2]]] * 2, np.uint16)
    decoded = np.asarray(decode_image(deep_tiff(samples, order)))
    assert decoded[0].tolist() == [[0, 127, 255], [255, 0, 127]]
