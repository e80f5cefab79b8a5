"""A folder whose classes stand in tables: as competitions, Roboflow and Hugging Face give them out."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from source_cases import asked
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.engine.sources.losses import warn_of_losses
from clipft_cli.errors import ClipftError, Question


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pictures(folder: str, names: list[str]) -> None:
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8" + str(path).encode())


def write(path: str, header: str, rows: list[str]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join([header, *rows]) + "\n")


def labelled(n: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"{i:04d}", ("cat", "dog")[i % 2]) for i in range(start, start + n)]


def read(root: str = "set") -> Listing:
    kind, evidence = source_of(root)
    assert kind is SOURCES["table-folder"]
    assert "lies in" in evidence
    return kind.read(asked(root, Path("w")))


def zipped(root: str = "set") -> Listing:
    with zipfile.ZipFile("set.zip", "w") as archive:
        for path in sorted(Path(root).rglob("*")):
            archive.write(path, path.relative_to(root))
    return SOURCES["archive"].read(asked("set.zip", Path("w")))


def plan_of(command: str) -> list[str]:
    """The classes that a command reads, as it would be pasted."""
    done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--plan", "--json"])
    assert done.exit_code == 0, (command, done.output)
    return [read["name"] for read in json.loads(done.stdout)["classes"]]


def counts(listing: Listing) -> dict[tuple[str | None, str], int]:
    return dict(Counter((item.split, item.label) for item in listing.items))


def test_the_table_among_the_images_is_read_also_from_a_zip() -> None:
    pictures("set", [f"{i}.jpg" for i, _ in labelled(8)])
    write("set/labels.csv", "image,label", [f"{i}.jpg,{label}" for i, label in labelled(8)])
    assert counts(read()) == counts(zipped()) == {(None, "cat"): 4, (None, "dog"): 4}


def test_a_competition_gives_ids_without_suffix_and_test_images_without_classes() -> None:
    pictures("set/train", [f"{i}.jpg" for i, _ in labelled(8)])
    pictures("set/test", [f"{i}.jpg" for i, _ in labelled(2, 100) + labelled(2)])  # two are called as train's are
    write("set/train.csv", "id,breed", [f"{i},{label}" for i, label in labelled(8)])
    write("set/test.csv", "id", [i for i, _ in labelled(4, 100)])
    write("set/sample_submission.csv", "id,cat,dog", [f"{i},0.5,0.5" for i, _ in labelled(4, 100)])
    for listing in (read(), zipped()):
        assert counts(listing) == {(None, "cat"): 4, (None, "dog"): 4}
        assert Counter(problem.reason for problem in listing.problems) == {"image that no table names": 4}
        warn_of_losses(listing)
        assert listing.warnings == ["4 images left out, image that no table names: test (4)"]


def test_roboflow_gives_one_table_of_0_and_1_a_split() -> None:
    for k, split in enumerate(("train", "valid", "test")):
        found = labelled(4, 10 * k)
        pictures(f"set/{split}", [f"{i}_jpg.rf.{split}.jpg" for i, _ in found])
        rows = [f"{i}_jpg.rf.{split}.jpg, {int(label == 'cat')}, {int(label == 'dog')}" for i, label in found]
        write(f"set/{split}/_classes.csv", "filename, cat, dog", rows)
    expected = {(split, label): 2 for split in ("train", "val", "test") for label in ("cat", "dog")}
    assert counts(read()) == counts(zipped()) == expected


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_hugging_face_gives_metadata_beside_the_images_of_each_split(kind: str) -> None:
    for k, split in enumerate(("train", "validation", "test")):
        pictures(f"set/{split}", [f"{i}.png" for i, _ in labelled(4, 10 * k)])
        found = labelled(4, 10 * k)
        if kind == "csv":
            write(f"set/{split}/metadata.csv", "file_name,label", [f"{i}.png,{label}" for i, label in found])
        else:
            rows = [f'{{"file_name": "{i}.png", "label": "{label}"}}' for i, label in found]
            write(f"set/{split}/metadata.jsonl", rows[0], rows[1:])
    expected = {(split, label): 2 for split in ("train", "val", "test") for label in ("cat", "dog")}
    assert counts(read()) == expected


def test_parquet_shards_of_hugging_face_are_one_set_with_class_names() -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    about = b'{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'
    Path("set/data").mkdir(parents=True)
    for shard in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        rows = [{"image": {"bytes": b"\x89PNG" + shard.encode() + bytes(70 + i)}, "label": i % 2} for i in range(4)]
        stored = pyarrow.Table.from_pylist(rows).replace_schema_metadata({b"huggingface": about})
        parquet.write_table(stored, f"set/data/{shard}.parquet")
    listing = read()
    assert counts(listing) == {
        ("train", "cat"): 4,
        ("train", "dog"): 4,
        ("test", "cat"): 2,
        ("test", "dog"): 2,
    }
    assert len({item.file.read_bytes() for item in listing.items}) == 12


def test_two_tables_that_say_different_things_are_a_choice() -> None:
    pictures("set", [f"{i}.jpg" for i, _ in labelled(8)])
    write("set/breeds.csv", "image,label", [f"{i}.jpg,{label}" for i, label in labelled(8)])
    write("set/colours.csv", "image,label", [f"{i}.jpg,{'rg'[k // 4]}" for k, (i, _) in enumerate(labelled(8))])
    with pytest.raises(Question, match="2 tables name images") as error:
        read()
    assert error.value.commands == ("clipft prepare set/breeds.csv", "clipft prepare set/colours.csv")


def test_class_folders_are_read_as_such_where_the_table_beside_them_says_the_same_or_something_else() -> None:
    pictures("set", [f"{label}/{i}.jpg" for i, label in labelled(8)])
    write("set/birds.csv", "image,label", [f"{label}/{i}.jpg,{label.upper()}" for i, label in labelled(8)])
    write("set/sizes.csv", "class,mean", ["cat,3", "dog,4"])
    kind, _ = source_of("set")
    assert kind is SOURCES["folder-and-table"]
    assert counts(kind.read(asked("set", Path("w")))) == {(None, "cat"): 4, (None, "dog"): 4}


def test_a_table_that_gives_images_in_class_folders_other_classes_is_asked_about() -> None:
    pictures("set", [f"{label}/{i}.jpg" for i, label in labelled(8)])
    write("set/colours.csv", "image,label", [f"{x}/{i}.jpg,{'rg'[k // 4]}" for k, (i, x) in enumerate(labelled(8))])
    kind, _ = source_of("set")
    with pytest.raises(Question, match="the classes stand in the table: g, r") as error:
        kind.read(asked("set", Path("w")))
    assert error.value.commands == ("clipft prepare set --paths '{class}'", "clipft prepare set/colours.csv")
    assert counts(kind.read(asked("set", Path("w"), paths="{class}"))) == {(None, "cat"): 4, (None, "dog"): 4}


def test_splits_of_a_table_that_agrees_with_the_class_folders_are_pointed_out() -> None:
    pictures("set", [f"{label}/{i}.jpg" for i, label in labelled(8)])
    rows = [f"{x}/{i}.jpg,{x},{('train', 'train', 'test', 'test')[k % 4]}" for k, (i, x) in enumerate(labelled(8))]
    write("set/all.csv", "image,label,split", rows)
    kind, _ = source_of("set")
    said = kind.read(asked("set", Path("w"))).warnings
    assert said == [
        "all.csv gives splits (train 4, test 4), which the folders do not: `clipft prepare set/all.csv` takes them;"
        " `--split-column none` says that they do not count"
    ]
    assert kind.read(asked("set", Path("w"), split_column="none")).warnings == []


COLUMNS = [f"{i},{'rg'[k // 4]},{'xy'[k in (1, 4, 5, 6)]}" for k, (i, _) in enumerate(labelled(8))]


@pytest.mark.parametrize("place", ["", "meta/"])
def test_a_table_of_several_classes_beside_class_folders_is_asked_about_column_by_column(place: str) -> None:
    pictures("set", [f"{label}/{i}.jpg" for i, label in labelled(8)])
    write(f"set/{place}all.csv", "image,colour,size", COLUMNS)
    kind, _ = source_of("set")
    with pytest.raises(Question, match="give images different classes") as error:
        kind.read(asked("set", Path("w")))
    found = [plan_of(command) for command in error.value.commands]
    assert found == [["cat", "dog"], ["g", "r"], ["x", "y"]]


@pytest.mark.parametrize("place", ["", "meta/"])
def test_a_table_among_images_that_can_be_read_in_two_ways_is_asked_about(place: str) -> None:
    pictures("set", [f"images/{i}.jpg" for i, _ in labelled(8)])
    write(f"set/{place}all.csv", "image,colour,size", COLUMNS)
    with pytest.raises(Question, match="may hold the class") as error:
        read()
    assert [plan_of(command) for command in error.value.commands] == [["g", "r"], ["x", "y"]]


def test_each_of_two_tables_that_lie_apart_from_the_images_is_a_command_that_works() -> None:
    pictures("set", [f"images/{i}.jpg" for i, _ in labelled(8)])
    write("set/meta/a.csv", "image,label", [f"{i}.jpg,{label}" for i, label in labelled(8)])
    write("set/meta/b.csv", "image,label", [f"{i}.jpg,{'rg'[k // 4]}" for k, (i, _) in enumerate(labelled(8))])
    with pytest.raises(Question) as error:
        read()
    assert [plan_of(command) for command in error.value.commands] == [["cat", "dog"], ["g", "r"]]


def test_a_table_whose_splits_are_numbers_is_refused_and_no_folder_of_images_is_a_class() -> None:
    pictures("set", [f"images/{i}.jpg" for i, _ in labelled(8)])
    write("set/all.csv", "image,label,split", [f"{i}.jpg,{x},{k % 2 + 1}" for k, (i, x) in enumerate(labelled(8))])
    with pytest.raises(ClipftError, match="sounds like splits, and holds numbers"):
        read()


def test_a_table_that_says_nothing_of_images_leaves_their_names_to_tell() -> None:
    pictures("set", [f"{label}_{i}.jpg" for i, label in labelled(8)])
    write("set/results.csv", "epoch,loss", [f"{i},0.5" for i in range(8)])
    with pytest.raises(ClipftError) as error:
        read()
    assert "results.csv" in error.value.message
    kind, _ = source_of("set", "{class}_*")
    assert counts(kind.read(asked("set", Path("w"), paths="{class}_*"))) == {(None, "cat"): 4, (None, "dog"): 4}


def test_a_folder_with_nothing_but_an_archive_names_it() -> None:
    pictures("set", [f"{label}/{i}.jpg" for i, label in labelled(8)])
    zipped()
    Path("downloads").mkdir()
    Path("set.zip").rename("downloads/set.zip")
    with pytest.raises(ClipftError, match=r"holds no images, but archives: set\.zip") as error:
        source_of("downloads")[0].read(asked("downloads", Path("w2")))
    assert error.value.hint == "`clipft prepare downloads/set.zip`"


def test_what_is_wrong_in_an_archive_is_told_by_its_own_name() -> None:
    Path("set").mkdir()
    pictures("set", ["1.jpg", "2.jpg"])
    write("set/labels.csv", "image,label", ["1.jpg,cat", "2.jpg,cat,dog"])
    with pytest.raises(ClipftError) as error:
        zipped()
    assert error.value.message.startswith("set.zip/labels.csv: line 3 has 3 cells")


def test_the_reading_of_a_table_among_images_says_its_columns_and_can_be_asked_for() -> None:
    pictures("set/images", [f"{name}.jpg" for name, _ in labelled(12)])
    write(
        "set/labels.csv", "id,species,split", [f"{n},{c},{('train', 'test')[int(n) % 3 == 0]}" for n, c in labelled(12)]
    )
    listing = read()
    assert listing.places == {"class": "column species", "split": "column split"}
    assert listing.read_as["label_column"] == "species"
    for split in ("train", "test"):
        write(f"two/{split}.csv", "id,species", [f"{n},{c}" for n, c in labelled(8, 8 * (split == "test"))])
    pictures("two/images", [f"{name}.jpg" for name, _ in labelled(16)])
    assert read("two").places == {"class": "column species", "split": "names of the tables"}
