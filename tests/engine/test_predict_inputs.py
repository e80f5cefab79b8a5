"""What a person names becomes a stream of files, in the order it was named."""

from __future__ import annotations

import os

import pytest

from clipft_cli.engine.images.inputs import ImageInput, Inputs, image_suffixes, lines_of


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
        ("texts", "no images in this folder (1 files of other kinds)"),
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
