from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prepare_cases import config, folders, reasons, save, tree

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.preparation.changes import find_changes
from clipft_cli.engine.prepare import make_skeleton, prepare, validate_dataset
from clipft_cli.errors import ConfigError, DataError, ResourceError


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_same_again_says_so_and_changes_nothing() -> None:
    folders(Path("pets"))
    first = prepare(config(source="pets"))
    before = tree(Path("data"))
    again = prepare(config(source="pets"))
    assert (first.already_prepared, again.already_prepared) == (False, True)
    assert tree(Path("data")) == before


def test_another_data_set_at_the_place_is_not_overwritten_and_force_renames_it() -> None:
    folders(Path("pets"))
    folders(Path("farm"), classes=("cow", "pig"), start=5000)
    prepare(config(source="pets", output_dir="data/x"))
    before = tree(Path("data/x"))
    with pytest.raises(DataError, match="holds another data set"):
        prepare(config(source="farm", output_dir="data/x"))
    assert tree(Path("data/x")) == before
    prepare(config(source="farm", output_dir="data/x"), force=True)
    assert tree(Path("data/x.old-1")) == before
    assert [info.name for info in read_manifest(Path("data/x")).classes] == ["cow", "pig"]


def test_a_folder_with_foreign_files_is_never_touched_not_even_by_force() -> None:
    folders(Path("pets"))
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(DataError, match="not from clipft"):
            prepare(config(source="pets", output_dir="mine"), force=force)
    assert tree(Path("mine")).keys() == {"thesis.txt"}


def test_in_place_writes_its_own_files_and_touches_nothing_else() -> None:
    before = tree(folders(Path("pets")))
    prepare(config(source="pets", in_place=True))
    after = tree(Path("pets"))
    own = {"dataset.json", "manifest.jsonl", "classes.txt", "problems.csv", "reading.html"}
    assert after.keys() - before.keys() == own
    assert {name: after[name] for name in before} == before
    assert read_manifest(Path("pets")).rows[0].path.startswith("cat/")


def test_in_place_never_overwrites_a_file_of_the_users() -> None:
    folders(Path("pets"))
    Path("pets/classes.txt").write_text("my own list")
    with pytest.raises(DataError, match="not from clipft"):
        prepare(config(source="pets", in_place=True))
    assert Path("pets/classes.txt").read_text() == "my own list"


def test_in_place_elsewhere_records_absolute_paths() -> None:
    folders(Path("pets"))
    prepare(config(source="pets", in_place=True, output_dir="lists/pets"))
    manifest = read_manifest(Path("lists/pets"))
    assert all(Path(row.path).is_absolute() and manifest.file(row).is_file() for row in manifest.rows)
    save(Path("pets/cat/new.jpg"), 99)
    assert find_changes(manifest).added == [Path("pets/cat/new.jpg").resolve().as_posix()]
    prepare(config(source="lists/pets"))
    assert len(read_manifest(Path("lists/pets")).rows) == 21


def test_changes_by_hand_are_seen_and_taken_in_with_the_splits_kept() -> None:
    folders(Path("pets"))
    root = prepare(config(source="pets")).data_dir
    before = read_manifest(root)
    assert not find_changes(before)
    removed = before.split("train")[0].path
    (root / removed).unlink()
    changed = before.split("val")[0].path
    data = bytearray((root / changed).read_bytes())
    data[-20] ^= 1
    (root / changed).write_bytes(data)
    save(root / "train/cat/added.jpg", 500)
    save(root / "test/dog/added.jpg", 501)
    (root / "train/cat/broken.jpg").write_bytes(b"broken")
    changes = find_changes(before)
    assert changes.added == ["test/dog/added.jpg", "train/cat/added.jpg", "train/cat/broken.jpg"]
    assert (changes.removed, changes.changed) == ([removed], [changed])
    assert "3 added" in changes.describe()
    assert f"clipft prepare {root}" in changes.describe()
    faults = {fault.where for fault in validate_dataset(config(source=str(root)).prepare).faults}
    assert faults >= {removed, changed, "train/cat/added.jpg"}

    prepare(config(source=str(root)))
    after = read_manifest(root)
    assert not find_changes(after)
    kept = {row.path: row.split for row in before.rows if row.path != removed}
    found = {row.path: row.split for row in after.rows}
    assert found == {**kept, "train/cat/added.jpg": "train", "test/dog/added.jpg": "test"}


def test_a_skeleton_is_filled_later_and_edited_names_stay() -> None:
    made = make_skeleton(config(output_dir="data/pets").prepare, "cat,dog")
    assert sorted(p.name for p in made.data_dir.iterdir()) == ["README.md", "classes.txt", "test", "train", "val"]
    with pytest.raises(DataError, match="no images yet"):
        prepare(config(source="data/pets"))
    folders(Path("data/pets/train"), 20)
    names = made.data_dir / "classes.txt"
    names.write_text(names.read_text().replace("dog = dog", "dog = good dog"))
    result = prepare(config(source="data/pets"))
    assert result.counts == {"train": 28, "val": 6, "test": 6}
    assert [c.readable for c in result.classes] == ["cat", "good dog"]
    assert validate_dataset(config(source="data/pets").prepare).faults == []


def test_a_misspelt_line_of_classes_txt_is_an_error_and_no_edit_is_lost() -> None:
    folders(Path("pets"))
    root = prepare(config(source="pets")).data_dir
    (root / "classes.txt").write_text("cat = house cat\ndgo = hound\n")
    with pytest.raises(DataError, match="dgo"):
        prepare(config(source=str(root)))
    assert (root / "classes.txt").read_text() == "cat = house cat\ndgo = hound\n"


def test_validate_names_a_leak_between_splits() -> None:
    folders(Path("pets"))
    prepare(config(source="pets", in_place=True))
    manifest = read_manifest(Path("pets"))
    train, test = manifest.split("train")[0], manifest.split("test")[0]
    shutil.copy(manifest.file(train), manifest.file(test))
    report = validate_dataset(config(source="pets").prepare)
    assert {test.path, train.path} & {fault.where for fault in report.faults if "another split" in fault.what}
    with pytest.raises(DataError, match="another split"):
        report.raise_on_faults()


def test_a_killed_prepare_leaves_no_half_data_set_and_the_next_one_cleans_up() -> None:
    folders(Path("pets"), 300)
    code = "from clipft_cli.cli.app import main; import sys; sys.argv = ['clipft', 'prepare', 'pets']; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(Path().glob("data/.pets.preparing-*")):
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not Path("data/pets").exists():
        assert list(Path("data").glob(".pets.preparing-*"))
    prepare(config(source="pets"))
    assert [path.name for path in Path("data").iterdir()] == ["pets"]
    assert len(read_manifest(Path("data/pets")).rows) == 600


def test_outputs_that_do_not_do_are_refused() -> None:
    folders(Path("pets"))
    Path("file").write_text("x")
    for output, kind in [("file", DataError), ("file/x", DataError), ("pets/out", ConfigError)]:
        with pytest.raises(kind):
            prepare(config(source="pets", output_dir=output))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_an_error_of_resources() -> None:
    folders(Path("pets"))
    Path("locked").mkdir(mode=0o555)
    with pytest.raises(ResourceError):
        prepare(config(source="pets", output_dir="locked/x"))


def test_file_names_that_are_no_text_are_copied_under_another_name_or_left_out_in_place() -> None:
    folders(Path("pets"))
    odd = os.fsencode("pets/cat/") + b"\xff\xfe.jpg"
    save(Path("odd.jpg"), 4321)
    os.rename("odd.jpg", odd)
    assert prepare(config(source="pets")).counts["train"] == 15
    in_place = prepare(config(source="pets", in_place=True))
    assert reasons(in_place) == {"file name is not UTF-8": 1}
    assert not find_changes(read_manifest(Path("pets")))
