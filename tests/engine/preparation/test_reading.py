"""A reading says what a source was taken for before anything is written, and is kept with the data set."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from prepare_cases import config
from small_pictures import class_folders, save_picture
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.preparation.reading import OPEN, Reading
from clipft_cli.engine.preparation.summary import class_counts
from clipft_cli.engine.prepare import plan, prepare
from clipft_cli.errors import DataError, Question


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_plan_says_classes_splits_and_what_is_left_out_and_writes_nothing() -> None:
    class_folders(Path("pets/train"), 4)
    class_folders(Path("pets/val"), 2, start=100)
    save_picture(Path("pets/cover.jpg"), 7)
    before = sorted(Path().rglob("*"))
    reading = plan(config(source="pets"))
    assert sorted(Path().rglob("*")) == before
    assert (reading.kind, reading.evidence) == ("folder", "pets is a folder")
    assert reading.places == {"split": "folder 1 of the path", "class": "folder 2 of the path"}
    assert [(read.name, read.counts, read.example) for read in reading.classes] == [
        ("cat", {"train": 4, "val": 2}, "train/cat/0.jpg"),
        ("dog", {"train": 4, "val": 2}, "train/dog/0.jpg"),
    ]
    assert reading.left_out == {"outside any class folder": 1}
    assert shlex.split(reading.command) == ["clipft", "prepare", "pets", "--paths", "{split}/{class}"]


def test_the_command_of_a_reading_reads_the_same() -> None:
    class_folders(Path("pets"), 2)
    first = plan(config(source="pets"))
    again = plan(config(source="pets", paths=first.settings["paths"]))
    assert again == first


def test_a_plan_joins_chooses_and_loses_classes_as_preparing_does() -> None:
    class_folders(Path("pets/train"), 2, ("cat", "dog", "owl"))
    class_folders(Path("pets/test"), 1, ("Cat", "dog", "ox"), start=100)
    reading = plan(config(source="pets", exclude=["owl"]))
    assert [(read.name, read.counts) for read in reading.classes] == [
        ("cat", {"train": 2, "test": 1}),
        ("dog", {"train": 2, "test": 1}),
        ("ox", {"test": 1}),
    ]
    joined, lost = reading.warnings
    assert joined == "'Cat' (1 image) counted as class 'cat': they differ in letter case only"
    assert (
        lost == "1 class has no image that can be used and is left out: ox (1 file: its class has no training images)"
    )


def test_a_plan_refuses_names_that_may_mean_one_class() -> None:
    class_folders(Path("pets"), 2, ("Cat", "cat ", "dog"))
    with pytest.raises(DataError, match="may mean one class"):
        plan(config(source="pets"))


def test_an_empty_folder_is_counted_as_no_file() -> None:
    class_folders(Path("pets"), 2)
    Path("pets/owl").mkdir()
    save_picture(Path("pets/cover.jpg"), 7)
    assert plan(config(source="pets")).left_out_words == "1 file and 1 empty folder"


def test_a_table_is_read_by_columns_that_could_have_been_named() -> None:
    class_folders(Path("pets"), 2)
    rows = [f"{label}/{i}.jpg,{label},p{i}" for label in ("cat", "dog") for i in range(2)]
    Path("pets/pets.csv").write_text("file,label,patient\n" + "\n".join(rows))
    reading = plan(config(source="pets/pets.csv", group_column="patient"))
    assert reading.settings == {
        "image_column": "file",
        "label_column": "label",
        "split_column": "none",
        "group_column": "patient",
    }
    assert reading.places == {"class": "column label", "group": "column patient"}
    assert reading.n_groups == 2
    assert plan(config(source="pets/pets.csv", **reading.settings)).classes == reading.classes


def test_the_reading_comes_before_the_images_are_opened_and_is_kept() -> None:
    class_folders(Path("pets"), 6)
    events: list[object] = []
    result = prepare(config(source="pets"), events.append)
    assert [type(event) for event in events].index(Reading) == 0
    reading = events[0]
    assert isinstance(reading, Reading)
    assert reading.counts == {OPEN: 12}
    stored = json.loads(Path("data/pets/dataset.json").read_text())["reading"]
    assert stored == json.loads(json.dumps(reading.to_json()))
    assert read_manifest(Path("data/pets")).origin.reading == stored == result.reading


def test_images_that_stay_are_read_again_as_they_were_read() -> None:
    for variant in ("augmented", "original"):
        class_folders(Path("pets") / variant, 6, start=ord(variant[0]))
    with pytest.raises(Question):
        prepare(config(source="pets", in_place=True))
    prepare(config(source="pets", in_place=True, paths="original/{class}"))
    save_picture(Path("pets/original/cat/new.jpg"), 999)
    again = prepare(config(source="pets"))
    assert {c.name: c.total for c in again.classes} == {"cat": 7, "dog": 6}


def test_a_data_folder_is_read_again_whatever_its_classes_are_called() -> None:
    class_folders(Path("sorted"), 6, ("images", "masks"))
    prepare(config(source="sorted", paths="{class}"))
    again = prepare(config(source="data/sorted"))
    assert {c.name: c.total for c in again.classes} == {"images": 6, "masks": 6}


def run(command: str) -> None:
    """A command that was shown, as it would be pasted."""
    words = shlex.split(command)
    assert words[0] == "clipft"
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output


def prepared() -> dict[str, dict[str, int]]:
    """Images of each split, by class, of data/pets; which is gone afterwards."""
    manifest = read_manifest(Path("data/pets"))
    shutil.rmtree("data")
    return {c.name: {"train": c.train, "val": c.val, "test": c.test} for c in class_counts(manifest)}


def test_one_class_folder_under_test_is_asked_about_and_each_answer_gives_what_it_says() -> None:
    class_folders(Path("pets/train"), 10)
    class_folders(Path("pets/test"), 6, ("owl",), start=5000)
    with pytest.raises(Question) as asked:
        prepare(config(source="pets", split="0.6/0.2/0.2", seed=3))
    aside, anew = asked.value.commands
    run(aside)
    assert prepared() == {label: {"train": 6, "val": 2, "test": 2} for label in ("cat", "dog")}
    run(anew)
    of_all = prepared()
    assert sum(of_all["owl"].values()) == 6
    assert all(all(counts.values()) for counts in of_all.values())


def test_folders_inside_class_folders_are_asked_about_and_each_answer_gives_what_it_says() -> None:
    for k, (above, inside) in enumerate([("fur", ("cat", "dog")), ("wings", ("owl", "tern", "gull"))]):
        class_folders(Path("pets") / above, 6, inside, start=10_000 * k)
    with pytest.raises(Question) as asked:
        prepare(config(source="pets"))
    outer, inner, grouped = asked.value.commands
    run(outer)
    assert {name: sum(counts.values()) for name, counts in prepared().items()} == {"fur": 12, "wings": 18}
    run(inner)
    assert list(prepared()) == ["cat", "dog", "gull", "owl", "tern"]
    assert shlex.split(grouped)[-2:] == ["--paths", "{class}/{group}"]
    plan(config(source="pets", paths="{class}/{group}"))
