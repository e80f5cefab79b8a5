from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prepare_cases import config, folders, reasons, save, table, tree

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.preparation.changes import find_changes
from clipft_cli.engine.prepare import prepare, validate_dataset
from clipft_cli.errors import ConfigError, DataError, Question


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_class_folders_become_a_split_layout_of_byte_copies() -> None:
    source = folders(Path("pets"))
    result = prepare(config(source=str(source)))
    manifest = read_manifest(Path("data/pets"))
    assert Counter(row.split for row in manifest.rows) == {"train": 14, "val": 4, "test": 2}
    originals = set(tree(source).values())
    for row in manifest.rows:
        data = manifest.file(row).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.sha256
        assert row.sha256 in originals
        assert row.path.startswith(f"{row.split}/{manifest.classes[row.label].name}/")
    assert result.digest == manifest.digest
    assert not [path for path in Path("data").iterdir() if path.name.startswith(".")]


def test_the_digest_depends_on_the_seed_and_not_on_the_place(tmp_path: Path) -> None:
    folders(Path("pets"))
    shutil.copytree("pets", tmp_path / "other")
    digests = [
        prepare(config(source=source, output_dir=f"data/{i}", seed=seed)).digest
        for i, (source, seed) in enumerate([("pets", 0), (str(tmp_path / "other"), 0), ("pets", 1)])
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_what_cannot_be_used_is_listed_and_the_rest_goes_on() -> None:
    cat = folders(Path("pets")) / "cat"
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "page.png").write_text("<html></html>")
    (cat / "=cmd|' calc'!A0.jpg").write_bytes(b"\0\1\2\3")
    (cat / "cut.jpg").write_bytes((cat / "0.jpg").read_bytes()[:400])
    (cat / "notes.txt").write_text("notes")
    (cat / ".DS_Store").write_bytes(b"x")
    (cat / "Thumbs.db").write_bytes(b"x")
    Path("pets/__MACOSX").mkdir()
    save(Path("pets/stray.jpg"), 77)
    Path("pets/empty_class").mkdir()
    shutil.copy(cat / "1.jpg", cat / "copy.jpg")
    shutil.copy(cat / "2.jpg", "pets/dog/two_labels.jpg")
    result = prepare(config(source="pets"))
    assert reasons(result) == {
        "same picture under two labels": 2,
        "empty file": 1,
        "a web page, not an image": 1,
        "not an image that can be read": 1,
        "truncated image": 1,
        "not an image file": 1,
        "outside any class folder": 1,
        "class folder without images": 1,
        "exact copy of another image": 1,
    }
    assert result.ignored == 3
    assert sum(result.counts.values()) == 19
    with open("data/pets/problems.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert not [cell for row in rows for cell in row.values() if cell[:1] in "=+-@" and cell]


def test_given_splits_are_kept_and_a_missing_val_is_cut_from_train() -> None:
    folders(Path("pets/train"), 20)
    folders(Path("pets/test"), 6, start=5000)
    shutil.copy("pets/test/cat/0.jpg", "pets/train/cat/leak.jpg")
    folders(Path("pets/test"), 2, classes=("bird",), start=9000)
    result = prepare(config(source="pets"))
    assert result.counts == {"train": 32, "val": 8, "test": 12}
    assert reasons(result) == {"its class has no training images": 2, "copy of an image in another split": 1}
    tests = {row.sha256 for row in read_manifest(result.data_dir).split("test")}
    assert tests == set(tree(Path("pets/test/cat")).values()) | set(tree(Path("pets/test/dog")).values())


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Val"])
def test_every_word_for_validation_is_understood_and_a_missing_test_is_said(word: str) -> None:
    folders(Path("pets/train"), 10)
    folders(Path("pets") / word, 3, start=5000)
    result = prepare(config(source="pets"))
    assert result.counts == {"train": 20, "val": 6, "test": 0}
    assert any("no test images" in warning for warning in result.warnings)


def test_a_folder_called_test_among_class_folders_is_a_class_only_where_it_is_said() -> None:
    folders(Path("pets"), classes=("cat", "dog", "test"))
    with pytest.raises(Question):
        prepare(config(source="pets"))
    assert [c.name for c in prepare(config(source="pets", paths="{class}")).classes] == ["cat", "dog", "test"]


def test_classes_too_small_are_all_named_with_the_way_out() -> None:
    folders(Path("pets"), classes=("cat", "dog"))
    folders(Path("pets"), 2, classes=("emu", "fox"), start=7000)
    with pytest.raises(DataError) as error:
        prepare(config(source="pets"))
    assert "'emu' has 2" in error.value.message
    assert "'fox' has 2" in error.value.message
    assert "--exclude emu --exclude fox" in (error.value.hint or "")
    assert not Path("data/pets").exists()
    assert len(prepare(config(source="pets", exclude=["emu", "fox"])).classes) == 2


def test_num_classes_keeps_the_first_in_class_order_and_says_which() -> None:
    folders(Path("pets"), 4, classes=("d", "b", "a", "c"))
    result = prepare(config(source="pets", num_classes=2))
    assert [c.name for c in result.classes] == ["a", "b"]
    assert any("a, b" in note for note in result.notes)


def test_samples_per_class_is_a_limit() -> None:
    folders(Path("pets"), 20)
    result = prepare(config(source="pets", samples_per_class=10))
    assert [c.total for c in result.classes] == [10, 10]


def test_a_csv_with_faulty_rows_is_read_and_its_splits_are_kept() -> None:
    folders(Path("pets"))
    rows = [f"pets/{c}/{i}.jpg;{c};{('train', 'valid', 'test')[i % 3]}" for c in ("cat", "dog") for i in range(10)]
    faulty = ["none.jpg;cat;", ";cat;", "pets/cat/0.jpg;;", "pets/cat/0.jpg;cat;train", "pets/cat/1.jpg;cat;odd"]
    source = table(Path("t.csv"), "\n".join(["File_Name;Class;Subset", *rows, *faulty]))
    result = prepare(config(source=source))
    assert result.counts == {"train": 8, "val": 6, "test": 6}
    assert reasons(result) == {
        "file not found": 1,
        "row without an image": 1,
        "row without a class": 1,
        "listed twice in the table": 1,
        "unknown split": 1,
    }


def test_unclear_columns_are_an_error_that_lists_them_and_can_be_named() -> None:
    folders(Path("pets"))
    rows = [f"pets/{c}/{i}.jpg,{c},{'ab'[i % 2]}" for c in ("cat", "dog") for i in range(10)]
    source = table(Path("t.csv"), "\n".join(["a,b,c", *rows]))
    with pytest.raises(DataError, match="more than one column may hold the class: b, c"):
        prepare(config(source=source))
    assert len(prepare(config(source=source, image_column="a", label_column="b")).classes) == 2


def test_jsonl_and_parquet_give_the_same_data_set() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folders(Path("pets"))
    names = [(f"pets/{c}/{i}.jpg", c) for c in ("cat", "dog") for i in range(10)]
    lines = [json.dumps({"image": name, "label": label}) for name, label in names]
    jsonl = table(Path("t.jsonl"), "\n".join(lines))
    rows = [{"image": {"bytes": Path(name).read_bytes(), "path": None}, "label": label} for name, label in names]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "u.parquet")
    digests = {prepare(config(source=source)).digest for source in (jsonl, "u.parquet", "pets")}
    assert len(digests) == 1
    assert {path.suffix for path in Path("data/u/train/cat").iterdir()} == {".jpg"}
    with pytest.raises(ConfigError, match="holds the images itself"):
        prepare(config(source="u.parquet", in_place=True, output_dir="lists"))


def test_a_zip_gives_the_data_set_of_its_folder() -> None:
    folders(Path("pets"))
    with zipfile.ZipFile("a.zip", "w") as archive:
        for path in Path("pets").rglob("*.jpg"):
            archive.write(path, f"wrapped/{path}")
    assert prepare(config(source="a.zip")).digest == prepare(config(source="pets")).digest


def test_names_in_any_script_and_of_any_length_work() -> None:
    names = ("пёс", "猫", "كلب", "a b", "=1+1", "x" * 200, "é", "--rm")
    folders(Path("pets"), 4, classes=names)
    for n, name in enumerate(names):
        save(Path("pets") / name / ("y" * 240 + ".jpg"), 20_000 + n)
    result = prepare(config(source="pets"))
    assert sum(result.counts.values()) == 40
    assert not find_changes(read_manifest(result.data_dir))


def test_a_thousand_classes_work() -> None:
    for k in range(1000):
        for i in range(3):
            path = Path(f"pets/c{k:04d}/{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(3 * k + i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(path)
    assert prepare(config(source="pets")).counts == {"train": 1000, "val": 1000, "test": 1000}


@pytest.mark.parametrize("source", ["missing", "empty", "flat", "one", "text.txt", "not.zip", "empty.csv"])
def test_a_source_that_does_not_do_is_an_error_of_data(source: str) -> None:
    Path("empty").mkdir()
    folders(Path("one"), classes=("cat",))
    for i in range(3):
        save(Path(f"flat/{i}.jpg"), i)
    for name in ("text.txt", "not.zip", "empty.csv"):
        Path(name).write_text("")
    with pytest.raises(DataError) as error:
        prepare(config(source=source))
    assert error.value.hint
    assert not Path("clipft.yaml").exists()


@pytest.mark.parametrize("name", ["food10", "trash6", "flowers5"])
def test_real_photographs_are_prepared_whole(name: str) -> None:
    shared = os.environ.get("CLIPFT_SHARED_DATA")
    if not shared:
        pytest.skip("CLIPFT_SHARED_DATA names no folder of photographs")
    result = prepare(config(source=f"{shared}/{name}"))
    assert result.n_left_out == 0
    assert result.imbalance < 1.02
    assert validate_dataset(config(source=str(result.data_dir)).prepare).faults == []
