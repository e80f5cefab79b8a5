from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from clipft_cli.engine.sources.image_finder import ImageFinder, Unfound


def made(root: Path, *names: str) -> ImageFinder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return ImageFinder([root])


def found(finder: ImageFinder, text: str) -> str:
    file = finder.find(text)
    return file.relative_to(finder.roots[0]).as_posix() if isinstance(file, Path) else file.reason


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("cat/1.jpg", "cat/1.jpg"),
        ("./cat/1.jpg", "cat/1.jpg"),
        ("cat\\1.jpg", "cat/1.jpg"),
        ("C:\\data\\pets\\cat\\1.jpg", "cat/1.jpg"),
        ("/home/anna/pets/cat/1.jpg", "cat/1.jpg"),
        ("Cat/1.JPG", "cat/1.jpg"),
        ("7.jpg", "a/b/7.jpg"),
        ("7", "a/b/7.jpg"),
        ("0012", "a/b/0012.png"),
        ("12", "a/b/0012.png"),
        ("one.two", "a/one.two.jpg"),
        (unicodedata.normalize("NFD", "é.jpg"), "a/é.jpg"),
    ],
)
def test_the_only_file_that_can_be_meant_is_found(tmp_path: Path, text: str, file: str) -> None:
    finder = made(tmp_path, "cat/1.jpg", "dog/1.jpg", "a/b/7.jpg", "a/b/0012.png", "a/one.two.jpg", "a/é.jpg")
    assert found(finder, text) == file


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.jpg", "could be several files"),
        ("fox/1.jpg", "file not found"),
        ("3.jpg", "file not found"),
        ("7.txt", "file not found"),
        ("x\0.jpg", "file not found"),
        ("y" * 300 + ".jpg", "file not found"),
        ("../cat/3.jpg", "file not found"),
        ("https://example.org/cat/1.jpg", "a web address, not a file"),
        ("cat", "file not found"),
        ("", "file not found"),
    ],
)
def test_what_could_be_several_files_or_none_is_said(tmp_path: Path, text: str, reason: str) -> None:
    finder = made(tmp_path, "cat/1.jpg", "dog/1.jpg", "a/7.jpg")
    assert found(finder, text) == reason


def test_letter_case_tells_files_apart_where_both_are_there(tmp_path: Path) -> None:
    finder = made(tmp_path, "a.jpg", "A.jpg")
    if not (tmp_path / "A.jpg").samefile(tmp_path / "a.jpg"):
        assert (found(finder, "a.jpg"), found(finder, "A.jpg")) == ("a.jpg", "A.jpg")
        assert found(finder, "a.JPG") == "could be several files"


def test_two_paths_of_another_machine_are_never_cut_to_one_file(tmp_path: Path) -> None:
    finder = made(tmp_path, "1.jpg")
    assert found(finder, "/home/anna/cat/1.jpg") == "1.jpg"
    second = finder.find("/home/anna/dog/1.jpg")
    assert isinstance(second, Unfound)
    assert "/home/anna/cat/1.jpg" in second.detail
