from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from prepare_cases import config, folders

from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.preflight import check_training
from clipft_cli.engine.prepare import prepare, validate_dataset
from clipft_cli.errors import DataError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def splits(data_dir: Path | str) -> Counter[str]:
    return Counter(row.split for row in read_manifest(Path(data_dir)).rows)


def test_all_images_are_for_measuring_where_that_is_asked_for() -> None:
    folders(Path("field"), 5)
    result = prepare(config(source="field", split="0/0/1"))
    assert splits("data/field") == {"test": 10}
    assert result.next_command == "clipft evaluate --data-dir data/field"
    assert not Path("clipft.yaml").exists()
    assert validate_dataset(config(source="data/field").prepare).faults == []


@pytest.mark.parametrize("classes", [("cat", "dog"), ("cat",)])
def test_a_lone_test_folder_is_a_set_for_measuring(classes: tuple[str, ...]) -> None:
    folders(Path("field/test"), 2, classes)
    result = prepare(config(source="field"))
    assert [c.name for c in result.classes] == list(classes)
    assert splits("data/field") == {"test": 2 * len(classes)}
    assert prepare(config(source="data/field")).counts["test"] == 2 * len(classes)


def test_a_class_called_test_beside_another_is_a_class() -> None:
    folders(Path("set"), 5, ("test", "prod"))
    assert [c.name for c in prepare(config(source="set")).classes] == ["prod", "test"]


def test_given_splits_give_way_to_a_set_for_measuring_and_it_is_said() -> None:
    for split in ("train", "test"):
        folders(Path("set") / split, 3, start=0 if split == "train" else 100)
    result = prepare(config(source="set", split="0/0/1"))
    assert splits("data/set") == {"test": 12}
    assert any("all images are for test" in note for note in result.notes)


def test_val_and_test_without_train_are_refused_with_a_way_out() -> None:
    for split in ("val", "test"):
        folders(Path("set") / split, 3, start=0 if split == "val" else 100)
    with pytest.raises(DataError, match="no images in train") as caught:
        prepare(config(source="set"))
    assert "--split 0/0/1" in str(caught.value.hint)


def test_how_exactly_accuracy_will_be_known_is_said() -> None:
    folders(Path("set"), 20)
    assert any("6 test images: accuracy will be known to" in note for note in prepare(config(source="set")).notes)


@pytest.mark.parametrize("lost", [("val",), ("test",), ("val", "test")])
def test_given_splits_that_lose_all_their_images_are_decided_anew_and_said(
    lost: tuple[str, ...], tmp_path: Path
) -> None:
    for start, split in enumerate(("train", "val", "test")):
        folders(tmp_path / "set" / split, 20 if split == "train" else 4, start=50 * start)
        if split in lost:
            for path in (tmp_path / "set" / split).rglob("*.jpg"):
                path.write_bytes(b"broken")
    result = prepare(config(source=str(tmp_path / "set"), output_dir=str(tmp_path / "d")))
    assert all(result.counts.values())
    assert sum(result.counts.values()) == 40 + 8 * (2 - len(lost))
    assert any(f"{lost[-1]} (8 images)" in text and "no image can be used" in text for text in result.warnings)


def test_a_set_for_measuring_is_refused_for_training_with_the_way_to_use_it() -> None:
    folders(Path("field"), 5)
    prepare(config(source="field", split="0/0/1"))
    with pytest.raises(DataError, match="is for measuring only: all 10 images are test") as refused:
        check_training(TrainConfig.model_validate({"data": {"dir": "data/field"}}))
    assert "`clipft evaluate --data-dir data/field`" in str(refused.value.hint)


def test_a_test_beside_the_class_folders_is_test_and_the_others_are_divided_into_train_and_val() -> None:
    folders(Path("set"), 20)
    folders(Path("set/test"), 4, start=100)
    result = prepare(config(source="set"))
    assert splits("data/set") == {"train": 32, "val": 8, "test": 8}
    assert {Path(row.path).parts[0] for row in read_manifest(Path("data/set")).rows if row.split == "test"} == {"test"}
    assert "test is what the source gives as test, the other images are divided into train and val" in result.notes


def test_images_of_no_split_do_not_go_into_a_test_that_is_given() -> None:
    for split, n, start in (("train", 6, 0), ("test", 2, 100), ("unassigned", 12, 200)):
        folders(Path("set") / split, n, start=start)
    prepare(config(source="set"))
    assert splits("data/set") == {"train": 30, "val": 6, "test": 4}
