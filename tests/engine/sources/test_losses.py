"""A class, a split or many files never vanish in a line of a CSV: a warning says it, with the count."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from prepare_cases import config
from small_pictures import class_folders, save_picture
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.files.visible import visible
from clipft_cli.engine.prepare import prepare
from clipft_cli.engine.sources.losses import file_losses
from clipft_cli.engine.sources.problems import NO_FOLDER, Problem

SET = Path("set")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plain() -> None:
    class_folders(SET, 6)


def split_folders(*names: str) -> None:
    for k, name in enumerate(names):
        class_folders(SET / name, 6, start=10_000 * k)


def an_empty_class() -> None:
    plain()
    (SET / "owl").mkdir()


def a_class_of_films() -> None:
    plain()
    (SET / "owl").mkdir()
    for i in range(3):
        (SET / "owl" / f"{i}.mp4").write_bytes(b"film")


def an_empty_class_above_splits() -> None:
    for label in ("cat", "dog"):
        class_folders(SET / label, 6, ("train", "test"), start=ord(label[0]) * 100)
    (SET / "owl/train").mkdir(parents=True)


def an_empty_class_of_splits() -> None:
    split_folders("train", "val")
    (SET / "train/owl").mkdir()


def an_empty_split() -> None:
    split_folders("train", "val")
    for label in ("cat", "dog"):
        (SET / "test" / label).mkdir(parents=True)


def a_class_that_train_lacks() -> None:
    split_folders("train", "test")
    class_folders(SET / "test", 4, ("owl",), start=50_000)


def a_class_that_is_a_link() -> None:
    plain()
    (SET / "owl").symlink_to("cat")


def a_class_that_is_a_dead_link() -> None:
    plain()
    (SET / "owl").symlink_to("/nowhere/owl")


def a_hidden_class() -> None:
    plain()
    class_folders(SET, 6, (".net",), start=9000)


def a_hidden_class_in_an_archive() -> None:
    a_hidden_class()
    with zipfile.ZipFile("set.zip", "w") as archive:
        for file in sorted(SET.rglob("*.jpg")):
            archive.write(file)
    shutil.rmtree(SET)


def damaged_images() -> None:
    plain()
    for label in ("cat", "dog"):
        (SET / label / "bad.jpg").write_bytes(b"no picture")


def many_copies() -> None:
    plain()
    for label in ("cat", "dog"):
        shutil.copy(SET / label / "0.jpg", SET / label / "copy.jpg")


def contradictions() -> None:
    plain()
    shutil.copy(SET / "cat/0.jpg", SET / "dog/cat.jpg")


def other_files() -> None:
    plain()
    for i in range(2):
        (SET / "cat" / f"{i}.xml").write_text("<a/>")


def several_reasons() -> None:
    """Each below 5% of the files, and above it together."""
    class_folders(SET, 20)
    (SET / "cat/bad.jpg").write_bytes(b"no picture")
    shutil.copy(SET / "cat/0.jpg", SET / "cat/copy.jpg")
    (SET / "dog/notes.txt").write_text("notes")


WARNED: dict[Callable[[], None], str] = {
    an_empty_class: "1 class has no image that can be used and is left out: owl (class folder without images)",
    a_class_of_films: "1 class has no image that can be used and is left out: owl (class folder without images)",
    an_empty_class_above_splits: "1 class has no image that can be used and is left out: owl (class folder",
    an_empty_class_of_splits: "1 class has no image that can be used and is left out: owl (class folder",
    an_empty_split: "1 folder left out, split folder without images: test",
    a_class_that_train_lacks: "is left out: owl (4 files: its class has no training images)",
    a_class_that_is_a_link: "1 link left out, a link to a folder that is read already: owl",
    a_class_that_is_a_dead_link: "1 link left out, a link that leads nowhere: owl",
    a_hidden_class: "6 images passed over, in a hidden folder: .net (6); rename it if it is a class",
    a_hidden_class_in_an_archive: "6 images passed over, in a hidden folder: set/.net (6); rename it",
    damaged_images: "2 images left out, text, not an image: cat (1), dog (1)",
    many_copies: "2 images left out, exact copy of another image: cat (1), dog (1)",
    contradictions: "2 images left out, same picture under two labels: cat (1), dog (1)",
    other_files: "2 files left out, not an image file: cat (2)",
    several_reasons: "3 of 43 files are left out: ",
}


@pytest.mark.parametrize("make", WARNED, ids=lambda make: make.__name__)
def test_what_vanishes_is_a_warning_that_is_kept_and_shown(make: Callable[[], None]) -> None:
    make()
    result = prepare(config(source="set" if SET.exists() else "set.zip"))
    found = [warning for warning in result.warnings if WARNED[make] in warning]
    assert len(found) == 1, result.warnings
    assert found[0] in json.loads(Path("data/set/dataset.json").read_text())["reading"]["warnings"]
    page = Path("data/set/reading.html").read_text()
    assert visible(found[0]).replace("'", "&#39;") in page


def test_small_classes_and_small_images_that_are_asked_to_go_are_counted() -> None:
    class_folders(SET, 8)
    class_folders(SET, 2, ("owl",), start=9000)
    for i in range(2):
        save_picture(SET / "cat" / f"icon{i}.png", 700 + i)
    result = prepare(config(source="set", min_per_class=3))
    assert "1 class of fewer than 3 images is left out, with 2 images: owl" in result.warnings
    assert not any("no image that can be used" in warning for warning in result.warnings)


def test_a_folder_that_may_not_be_read_is_a_warning_among_any_number_of_files() -> None:
    told: set[str] = set()
    warnings = file_losses([Problem("owl", NO_FOLDER, "Permission denied")], 1_000_000, told)
    assert warnings == ["1 folder left out, folder cannot be read: owl"]
    assert file_losses([Problem("owl", NO_FOLDER)], 1_000_000, told) == []


def test_warnings_are_said_on_standard_error_whatever_else_is_printed() -> None:
    an_empty_class()
    for options in ((), ("--quiet",), ("--json",), ("--plan",)):
        shown = CliRunner().invoke(app, ["prepare", "set", *options])
        assert "warning: 1 class has no image that can be used" in shown.stderr
        assert "warning:" not in shown.stdout
