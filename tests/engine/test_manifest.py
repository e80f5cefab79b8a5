from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.manifest import Manifest, Origin, Row, digest_of, read_manifest, write_manifest
from clipft_cli.errors import DataError

CLASSES = (ClassInfo("a=b", "a b"), ClassInfo("пёс", "dog"))
ROWS = (
    Row("train/a=b/1.jpg", 0, "train", "0" * 64, 5),
    Row("train/пёс/2.jpg", 1, "train", "1" * 64, 6),
    Row("test/a=b/3.jpg", 0, "test", "2" * 64, 7),
)


@pytest.fixture
def written(tmp_path: Path) -> Manifest:
    origin = Origin("pets", 3, (0.7, 0.15, 0.15), False, {"bad.jpg": 4}, "r")
    manifest = Manifest(tmp_path, "pets", CLASSES, ROWS, digest_of(CLASSES, ROWS), origin)
    write_manifest(manifest)
    return manifest


def test_what_is_written_is_read_back_equal(written: Manifest) -> None:
    assert read_manifest(written.root) == written
    assert sorted(path.name for path in written.root.iterdir()) == ["classes.txt", "dataset.json", "manifest.jsonl"]


def test_readable_names_are_those_of_classes_txt_and_the_digest_stays(written: Manifest) -> None:
    (written.root / "classes.txt").write_text("# mine\r\nпёс = wolf\r\na=b = cat = feline\r\n", encoding="utf-8")
    read = read_manifest(written.root)
    assert [info.readable for info in read.classes] == ["cat = feline", "wolf"]
    assert read.digest == written.digest


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a=b = x\n", "classes.txt:3: no line for class 'пёс'"),
        ("a=b = x\nпёс = y\nfox = z\n", "classes.txt:3: no class of this data set: 'fox = z'"),
        ("a=b = x\na=b = z\nпёс = y\n", "classes.txt:2: class 'a=b' given twice"),
        ("a=b =\nпёс = y\n", "classes.txt:1: class 'a=b' has no readable name"),
    ],
)
def test_a_wrong_line_of_classes_txt_is_named(written: Manifest, text: str, where: str) -> None:
    (written.root / "classes.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_manifest(written.root)
    assert where in error.value.message


def spoil(path: Path, **fields: object) -> None:
    header = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**header, **fields}), encoding="utf-8")


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2},
        {"format": "1"},
        {"classes": []},
        {"classes": [{"name": "a=b"}]},
        {"classes": [{"name": "a=b", "readable": "x"}] * 2},
        {"classes": 3},
        {"counts": {"train": 3, "val": 0, "test": 0}},
        {"counts": None},
        {"digest": "0" * 64},
        {"split": [1, 2]},
        {"in_place": "yes"},
        {"left_out": [1]},
        {"seed": None},
    ],
)
def test_a_damaged_dataset_json_is_an_error_with_a_way_out(written: Manifest, fields: dict[str, object]) -> None:
    spoil(written.root / "dataset.json", **fields)
    with pytest.raises(DataError) as error:
        read_manifest(written.root)
    assert "clipft prepare" in (error.value.hint or "")


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": ""},
        {"path": "a\0b"},
        {"path": 3},
        {"path": "train/пёс/2.jpg"},
        {"label": 2},
        {"label": -1},
        {"label": True},
        {"label": "0"},
        {"split": "holdout"},
        {"split": ["train"]},
        {"sha256": "xyz"},
        {"bytes": -1},
        {"bytes": 1.5},
        {"extra": 1},
    ],
)
def test_a_row_that_cannot_be_is_refused(written: Manifest, change: dict[str, object]) -> None:
    rows = [dataclasses.asdict(row) for row in ROWS]
    rows[0].update(change)
    (written.root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError):
        read_manifest(written.root)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1}', "\ud800"])
def test_whatever_stands_in_the_files_the_error_is_ours(written: Manifest, text: str) -> None:
    for name in ("dataset.json", "manifest.jsonl"):
        kept = (written.root / name).read_bytes()
        (written.root / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(DataError):
            read_manifest(written.root)
        (written.root / name).write_bytes(kept)


def test_absolute_paths_are_read_only_where_prepare_recorded_them(written: Manifest) -> None:
    rows = tuple(dataclasses.replace(row, path=f"/photos/{i}.jpg") for i, row in enumerate(ROWS))
    origin = dataclasses.replace(written.origin, in_place=True)
    write_manifest(dataclasses.replace(written, rows=rows, origin=origin))
    read = read_manifest(written.root)
    assert read.file(read.rows[0]) == Path("/photos/0.jpg")
    spoil(written.root / "dataset.json", in_place=False)
    with pytest.raises(DataError):
        read_manifest(written.root)


def test_without_a_data_set_the_error_says_which_command_makes_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError) as error:
            read_manifest(folder)
        assert "clipft prepare" in (error.value.hint or "")


def test_a_missing_split_is_an_error_that_counts_the_others(written: Manifest) -> None:
    with pytest.raises(DataError, match="train: 2, val: 0, test: 1"):
        written.split("val")


def test_a_classes_txt_of_an_earlier_version_is_read_as_it_was_written(tmp_path: Path) -> None:
    classes = tuple(ClassInfo(name, "x") for name in ("cat\xa0", "a", "a = b", '"q"', "n"))
    rows = tuple(Row(f"train/{i}/1.jpg", i, "train", f"{i:064x}", 1) for i in range(5))
    write_manifest(Manifest(tmp_path, "pets", classes, rows, digest_of(classes, rows)))
    lines = [
        "# clipft classes: folder = readable name.",
        "cat\xa0 = one",
        "a = two",
        "a = b = three",
        '"q" = "q"',
        "n = m = 5",
    ]
    (tmp_path / "classes.txt").write_text("\n".join(lines), encoding="utf-8")
    assert [info.readable for info in read_manifest(tmp_path).classes] == ["one", "two", "three", "q", "m = 5"]
