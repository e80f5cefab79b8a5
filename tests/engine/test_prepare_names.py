from __future__ import annotations

import csv
from pathlib import Path

import pytest
from prepare_cases import config, folders, save

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.prepare import make_skeleton, prepare


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def labelled(labels: tuple[str, ...], n: int = 4) -> str:
    """A table of n pictures of each label."""
    with open("labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        for k, label in enumerate(labels):
            writer.writerows((save(Path(f"img/{k}-{i}.jpg"), 100 * k + i), label) for i in range(n))
    return "labels.csv"


AWKWARD = ("a/b", "a_b", "a = b", "# no", '"q"', "con", "x > " * 60 + "y", "x > " * 60 + "z")


def test_labels_that_no_folder_can_be_called_stay_what_they_are_also_when_prepared_again() -> None:
    result = prepare(config(source=labelled(AWKWARD)))
    names = {info.name for info in read_manifest(Path("data/labels")).classes}
    assert names == set(AWKWARD)
    row = next(r for r in read_manifest(Path("data/labels")).rows if result.classes[r.label].name == "a/b")
    save(Path("data/labels", row.path).with_name("new.jpg"), 9_999)
    again = prepare(config(source="data/labels"))
    assert {c.name: c.total for c in again.classes} == {name: 4 + (name == "a/b") for name in AWKWARD}


def test_a_blank_at_the_end_of_a_folder_is_read_back_from_classes_txt() -> None:
    folders(Path("pets"), classes=("cat\u3000", "dog\xa0", "a = b", "a"))
    prepare(config(source="pets"))
    names = [info.name for info in read_manifest(Path("data/pets")).classes]
    assert names == ["a", "a = b", "cat\u3000", "dog\xa0"]


def test_the_folders_of_a_skeleton_stand_for_the_names_that_were_asked_for() -> None:
    made = make_skeleton(config(output_dir="data/new").prepare, "a/b, a?b, cat")
    assert [info.name for info in made.classes] == ["a/b", "a?b", "cat"]
    for k, folder in enumerate(sorted(Path("data/new/train").iterdir())):
        for i in range(10):
            save(folder / f"{i}.jpg", 100 * k + i)
    assert {c.name for c in prepare(config(source="data/new")).classes} == {"a/b", "a?b", "cat"}
