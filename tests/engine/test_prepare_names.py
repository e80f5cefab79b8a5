from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image
from prepare_cases import config, folders, reasons, save

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.prepare import make_skeleton, prepare
from clipft_cli.errors import ConfigError, DataError


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


def test_labels_that_may_be_one_are_refused_with_the_commands_that_decide() -> None:
    source = labelled(("Cat", "cat", "dog", "0", "0.0"))
    with pytest.raises(DataError) as error:
        prepare(config(source=source, num_classes=9))
    assert "'Cat' (4 images), 'cat' (4 images): letter case" in error.value.message
    assert "'0' (4 images), '0.0' (4 images): the way one number is written" in error.value.message
    assert "`clipft prepare labels.csv --num-classes 9 --merge alike`" in (error.value.hint or "")
    joined = prepare(config(source=source, merge=["alike"], output_dir="joined"))
    assert {c.name: c.total for c in joined.classes} == {"0": 8, "Cat": 8, "dog": 4}
    assert len(prepare(config(source=source, merge="none", output_dir="apart")).classes) == 5
    named = prepare(config(source=source, merge=["cat=Cat", "0.0=0", "dog=Cat"], output_dir="named"))
    assert {c.name: c.total for c in named.classes} == {"0": 8, "Cat": 12}


def test_a_merge_of_what_is_no_class_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        prepare(config(source=labelled(("cat", "dog")), merge=["fox=cat"]))
    assert "'fox' is no class of labels" in error.value.message


def test_splits_that_write_one_class_in_two_ways_are_joined_and_it_is_said() -> None:
    folders(Path("pets/train"), classes=("Cat", "Dog"))
    folders(Path("pets/val"), 3, classes=("cat", "dog"), start=5000)
    folders(Path("pets/test"), 3, classes=("cat ", "Dog"), start=8000)
    result = prepare(config(source="pets"))
    assert [(c.name, c.train, c.val, c.test) for c in result.classes] == [("Cat", 10, 3, 3), ("Dog", 10, 3, 3)]
    assert any("'dog' (3 images) counted as class 'Dog': they differ in letter case only" in w for w in result.warnings)


def test_a_class_called_nan_is_pointed_out() -> None:
    result = prepare(config(source=labelled(("cat", "nan"))))
    assert any("--exclude nan" in warning for warning in result.warnings)


def test_the_refusal_of_small_classes_can_be_pasted_and_small_ones_can_stay_in_train() -> None:
    folders(Path("pets"), classes=("cat", "dog"))
    folders(Path("pets"), 2, classes=tuple("abcdef"), start=7000)
    with pytest.raises(DataError) as error:
        prepare(config(source="pets", split="0.6/0.2/0.2"))
    assert "`clipft prepare pets --split 0.6/0.2/0.2 --min-per-class 3`" in (error.value.hint or "")
    assert "..." not in (error.value.hint or "")
    without = prepare(config(source="pets", min_per_class=3, output_dir="without"))
    assert [c.name for c in without.classes] == ["cat", "dog"]
    assert any("6 classes of fewer than 3 images are left out, with 12 images" in w for w in without.warnings)
    kept = prepare(config(source="pets", min_per_class=1, output_dir="kept"))
    assert [(c.train, c.val, c.test) for c in kept.classes if c.name == "a"] == [(2, 0, 0)]


def test_images_below_the_least_size_are_left_out_by_it() -> None:
    folders(Path("pets"))
    Image.effect_noise((64, 20), 80).save("pets/cat/thin.png")
    assert reasons(prepare(config(source="pets", min_size=40))) == {"smaller than --min-size": 1}
