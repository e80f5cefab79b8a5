from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from prepare_cases import config
from small_pictures import class_folders, save_picture

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.prepare import prepare
from clipft_cli.errors import ConfigError, DataError


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 20 pictures in two classes, prepared in data/, with one name edited."""
    monkeypatch.chdir(tmp_path)
    class_folders(Path("photos"), 10)
    prepare(asked())
    edit("cat = cat", "cat = tabby cat")
    return Path("photos")


def asked(**options: object) -> object:
    return config(**{"source": "photos", "output_dir": "data", **options})


def edit(old: str, new: str) -> None:
    text = Path("data/classes.txt").read_text()
    assert old in text
    Path("data/classes.txt").write_text(text.replace(old, new))


def splits() -> dict[str, str]:
    return {row.sha256: row.split for row in read_manifest(Path("data")).rows}


def grow(photos: Path) -> None:
    class_folders(photos, 16)


def test_a_grown_source_is_refused_with_what_differs_and_the_way_to_take_it_in(photos: Path) -> None:
    grow(photos)
    with pytest.raises(DataError) as refused:
        prepare(asked())
    assert refused.value.message.endswith("holds another data set: 12 images added (such as cat/10.jpg)")
    assert "`clipft prepare photos --output-dir data --update` takes this in" in str(refused.value.hint)


def test_an_update_keeps_every_split_and_every_edited_name_and_makes_no_copy(photos: Path) -> None:
    before = splits()
    old_files = {path: path.stat().st_ino for path in Path("data").rglob("*.jpg")}
    grow(photos)
    result = prepare(asked(), update=True)
    after = splits()
    assert len(after) == 32
    assert {digest: after[digest] for digest in before} == before
    assert result.counts == {"train": 22, "val": 6, "test": 4}
    assert {path: path.stat().st_ino for path in old_files} == old_files
    assert [info.readable for info in read_manifest(Path("data")).classes] == ["tabby cat", "dog"]
    assert "12 images are new, 20 were there and keep their split" in result.notes
    assert sorted(path.name for path in Path().iterdir()) == ["clipft.yaml", "data", "photos"]
    assert prepare(asked()).already_prepared


def test_a_renamed_class_keeps_its_splits_and_its_edited_name(photos: Path) -> None:
    before = splits()
    (photos / "cat").rename(photos / "felis")
    with pytest.raises(DataError, match=r"class 'cat' is now called 'felis'$"):
        prepare(asked())
    prepare(asked(), update=True)
    manifest = read_manifest(Path("data"))
    assert splits() == before
    assert [(info.name, info.readable) for info in manifest.classes] == [("dog", "dog"), ("felis", "tabby cat")]
    assert not list(Path("data").glob("*/cat"))
    assert all(manifest.file(row).is_file() for row in manifest.rows)


def test_images_that_are_gone_from_the_source_are_set_aside_not_deleted(photos: Path) -> None:
    shutil.rmtree(photos / "dog")
    class_folders(photos, 10, classes=("fox",), start=500)
    with pytest.raises(
        DataError, match=r"'dog' is no longer there; class 'fox' is new; 10 images added .*; 10 images rem"
    ):
        prepare(asked())
    edit("dog = dog", "dog = good dog")
    result = prepare(asked(), update=True)
    assert any(
        "10 images are not in the source any more; what is gone lies in data.dropped-1" in w for w in result.warnings
    )
    assert any("'good dog' of class 'dog'" in w for w in result.warnings)
    assert len(list(Path("data.dropped-1").rglob("*.jpg"))) == 10
    assert [info.name for info in read_manifest(Path("data")).classes] == ["cat", "fox"]


def test_another_folder_is_named_and_an_update_from_it_changes_nothing(photos: Path) -> None:
    class_folders(Path("photo"), 10, start=5000)
    before = splits()
    with pytest.raises(DataError) as refused:
        prepare(asked(source="photo"))
    assert f"its images came from {photos.resolve()}, not from {photos.resolve().with_name('photo')}" in str(
        refused.value
    )
    assert "--update" not in str(refused.value.hint)
    with pytest.raises(DataError, match="none of its images is in photo"):
        prepare(asked(source="photo"), update=True)
    assert splits() == before


def test_another_option_is_named(photos: Path) -> None:
    with pytest.raises(DataError, match=r"seed 0, now 3; split 0.7/0.15/0.15, now 0.8/0.1/0.1$"):
        prepare(asked(seed=3, split="0.8/0.1/0.1"))


def test_force_keeps_splits_and_names_where_the_same_is_asked(photos: Path) -> None:
    before = splits()
    grow(photos)
    prepare(asked(), force=True)
    assert {digest: splits()[digest] for digest in before} == before
    assert read_manifest(Path("data")).classes[0].readable == "tabby cat"


def test_force_with_another_seed_divides_anew(photos: Path) -> None:
    before = splits()
    prepare(asked(seed=5), force=True)
    assert splits() != before
    assert read_manifest(Path("data")).classes[0].readable == "tabby cat"


def test_a_data_set_of_an_earlier_version_is_updated(photos: Path) -> None:
    file = Path("data/dataset.json")
    header = json.loads(file.read_text())
    del header["options"]
    file.write_text(json.dumps(header))
    before = splits()
    grow(photos)
    prepare(asked(), update=True)
    assert {digest: splits()[digest] for digest in before} == before


def test_an_update_in_place_keeps_splits_of_renamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(Path("photos"), 10)
    prepare(asked(in_place=True))
    before = splits()
    grow(Path("photos"))
    Path("photos/cat/3.jpg").rename("photos/cat/third.jpg")
    prepare(asked(in_place=True), update=True)
    assert {digest: splits()[digest] for digest in before} == before
    assert len(splits()) == 32


def test_changes_by_hand_are_taken_in_first(photos: Path) -> None:
    save_picture(Path("data/train/cat/mine.jpg"), 77)
    grow(photos)
    with pytest.raises(DataError, match=r"1 added \(train/cat/mine.jpg\)"):
        prepare(asked(), update=True)


def test_force_and_update_contradict_each_other(photos: Path) -> None:
    with pytest.raises(ConfigError, match="--force prepares anew"):
        prepare(asked(), force=True, update=True)
