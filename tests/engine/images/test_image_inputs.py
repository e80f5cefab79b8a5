"""What a person names becomes a stream of files, in the order it was named."""

from __future__ import annotations

import io
import os

import pytest
from PIL import Image

from clipft_cli.engine.files.pictures import image_suffixes, is_picture, starts_like_image
from clipft_cli.engine.images.inputs import ImageInput, Inputs, lines_of, named_on


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Names decide here, so the files are empty."""
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.jpg", "b/1.PNG", "b/deep/0.webp", "b/notes.txt", "b/raw.xyz", "b/.hidden.jpg", "a.jpg", "x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(*arguments: str) -> list[str]:
    return [item.name for item in Inputs(arguments)]


def test_a_folder_is_walked_in_order_and_what_is_no_image_is_counted(pictures):
    inputs = Inputs(["b"])
    assert [item.name for item in inputs] == ["b/1.PNG", "b/2.jpg", "b/deep/0.webp"]
    assert inputs.skipped == {".txt": 1, ".xyz": 1}


def test_order_and_duplicates_are_kept(pictures):
    assert names("x", "a.jpg", "b/2.jpg", "a.jpg") == ["x", "a.jpg", "b/2.jpg", "a.jpg"]


def test_a_pattern_is_expanded_sorted_and_recursive(pictures):
    assert names("b/*.jpg") == ["b/2.jpg"]
    assert names("b/**/*.webp") == ["b/deep/0.webp"]
    assert names("?") == ["b/1.PNG", "b/2.jpg", "b/deep/0.webp", "x"]


def test_a_file_named_like_a_pattern_is_that_file(pictures):
    (pictures / "odd[1].jpg").touch()
    assert names("odd[1].jpg") == ["odd[1].jpg"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("https://example.org/dog.jpg", "is a web address: download the picture, then name the file"),
        ("*.gif", "no file matches this pattern"),
        ("empty", "no images in this folder"),
        ("texts", "no images in this folder (1 file of other kinds)"),
        ("", "is no file name"),
    ],
)
def test_what_is_no_file_says_so_without_stopping_the_rest(pictures, argument, problem):
    (pictures / "empty").mkdir()
    (pictures / "texts").mkdir()
    (pictures / "texts" / "a.txt").touch()
    assert list(Inputs([argument, "a.jpg"])) == [ImageInput(argument, problem), ImageInput("a.jpg")]


def test_a_link_to_its_own_folder_ends(pictures):
    os.symlink("..", pictures / "b" / "deep" / "loop")
    assert names("b") == ["b/1.PNG", "b/2.jpg", "b/deep/0.webp"]


def test_a_list_is_read_line_by_line_whatever_its_bytes():
    assert list(lines_of([b"a.jpg\r\n", b"\n", b" b c.jpg\n", b"\xff.jpg"])) == ["a.jpg", " b c.jpg", "\udcff.jpg"]


def test_suffixes_are_those_of_the_formats_that_are_read():
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".bmp", ".gif"} <= image_suffixes()
    assert not {".eps", ".pdf", ".txt", ".wmf"} & image_suffixes()


def content(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (9, 9, 9)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "ICO", "PCX", "SGI"])
def test_a_picture_is_known_by_its_first_bytes_whatever_its_name(tmp_path, kind):
    (tmp_path / "notes.txt").write_bytes(content(kind))
    assert is_picture(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    "text", ["BMW/1.jpg\n", "P1.jpg\n", "P5 cat.jpg\n", "GIF89a.gif\n", "RIFF", "\n", "", "\x89PNG.png"]
)
def test_a_list_of_names_is_no_picture(text):
    assert not starts_like_image(text.encode("latin-1"))
    assert list(named_on(io.BytesIO(text.encode()))) == ([text.strip()] if text.strip() else [])


def test_an_image_that_is_piped_in_is_that_image_and_a_long_list_stays_a_list():
    (piped,) = named_on(io.BytesIO(content("PNG")))
    assert (piped.name, piped.problem, piped.picture.size) == ("-", None, (3, 2))
    names = [f"{'x' * 40}{i}.jpg" for i in range(100)]
    assert list(named_on(io.BytesIO("\n".join(names).encode()))) == names


def test_what_is_piped_in_and_is_neither_is_named():
    (piped,) = named_on(io.BytesIO(b"PK\x03\x04\0\0"))
    assert piped.problem.startswith("a zip archive, not an image; a list of file names, or")


def test_one_entry_that_cannot_be_followed_is_named_and_ends_nothing(pictures):
    os.symlink("loop.jpg", pictures / "b" / "loop.jpg")
    (pictures / "b" / "photo.dat").write_bytes(content("JPEG"))
    found = list(Inputs(["b"]))
    assert [item.name for item in found] == ["b/1.PNG", "b/2.jpg", "b/deep/0.webp", "b/photo.dat", "b/loop.jpg"]
    assert "symbolic links" in found[-1].problem
