"""Tables as people have them: each is read as its writer meant it, or refused with the way out."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_cases import asked

from clipft_cli.engine.labels.names import class_name
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.engine.sources.losses import warn_of_losses
from clipft_cli.engine.sources.tables import list_table
from clipft_cli.errors import ClipftError, ConfigError, DataError, Question

N = 12
LABELS = [("cat", "dog")[i % 2] for i in range(N)]


@pytest.fixture(autouse=True)
def in_a_folder_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(N):
        path = Path("photos") / f"{i:03d}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\xff\xd8")


def read(text: str | bytes, name: str = "t.csv", **options: object) -> Listing:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list_table(path, asked(path, Path("w"), **options))


def lines(header: str, row: str, sequence: Sequence[object] = LABELS) -> str:
    """A line for each picture: `{i}` its number, `{f}` its file, `{x}` the sequence's value, `{l}` the label."""
    places = [f"{i:03d}" for i in range(N)]
    body = [
        row.format(i=place, f=f"photos/{place}.jpg", x=x, l=label)
        for place, x, label in zip(places, sequence, LABELS, strict=True)
    ]
    return "\n".join([header, *body]) + "\n"


def classes(listing: Listing) -> dict[str, int]:
    return dict(Counter(item.label for item in listing.items))


PETS = {"cat": N // 2, "dog": N // 2}
AS_PEOPLE_WRITE = {
    "plain": lines("image,label", "{f},{l}"),
    "plural and blanks": lines("class id,File Paths,Labels,data set", "{l},{f},{l},train"),
    "kaggle": lines("id,breed", "{i},{l}"),
    "a title of one cell": "dataset v2,,\n" + lines("image,label,notes", "{f},{l},"),
    "in percents": lines("image,label", "photos%2F{i}.jpg,{l}"),
    "a last word": lines("Image Index,Finding Labels,Patient Number", "{i},{l},p{x}", [i // 2 for i in range(N)]),
    "capitals": lines("FILENAME,Category_Name", "{f},{l}"),
    "upper ids": lines("Image_ID,Target", "{i},{l}"),
    "pandas index": lines(",image,label", "{i},{f},{l}"),
    "pandas unnamed": lines("Unnamed: 0,image,label", "{i},{f},{l}"),
    "excel": "\ufeff" + lines("image;label", "{f};{l}").replace("\n", "\r\n"),
    "utf-16 tabs": lines("image\tlabel", "{f}\t{l}"),
    "r": lines('"image" "label"', '"1{i}" "{f}" "{l}"'),
    "no header": lines("", "{f},{l}"),
    "no header, label first": lines("", "{l},{f}"),
    "no header, without suffix": lines("", "{i},{l}"),
    "automl": lines("", "TRAIN,{f},{l}"),
    "unknown names": lines("a,b", "{f},{l}"),
    "three columns": lines("file,whatever,note", "{f},{l},{i}"),
    "windows": lines("path,label", "C:\\data\\photos\\{i}.jpg,{l}"),
    "other machine": lines("path,label", "/content/drive/photos/{i}.JPG,{l}"),
    "numbers beside names": lines("image,label,class_name", "{f},{x},{l}", [i % 2 for i in range(N)]),
    "names beside numbers": lines("image,class_id,name", "{f},{x},{l}", [i % 2 for i in range(N)]),
    "one hot": lines("image,cat,dog", "{f},{x}", ["1,0" if i % 2 == 0 else "0,1" for i in range(N)]),
    "one hot floats": lines("image,cat,dog", "{f},{x}", ["1.0,0.0" if i % 2 == 0 else "0.0,1.0" for i in range(N)]),
    "lists": lines("image,label", "{f},['{l}']"),
    "bytes": lines("image,label", "{f},b'{l}'"),
    "a measure beside": lines("image,label,weight", "{f},{l},{i}.5"),
    "quoted newline": lines("image,label,comment", '{f},{l},"good\nvery good, indeed\n\nend"'),
    "other columns": lines("image,label,age,width,height", "{f},{l},3,64,64"),
    "trailing delimiter": lines("image;label;", "{f};{l};"),
    "list of mxnet": lines("", "{i}\t{x}\t{f}", [f"{i % 2:.6f}" for i in range(N)]),
    "a title above": "Our pets of 2024\n\n" + lines("image,label", "{f},{l}"),
    "a comment above": "# by a program\n" + lines("image,label", "{f},{l}"),
    "folder and file": lines("folder,filename,label", "photos,{i}.jpg,{l}"),
    "another suffix of the same": lines("image,label", "photos/{i}.JPEG,{l}"),
    "blank lines": lines("image,label", "\n{f},{l}"),
}


@pytest.mark.parametrize("name", AS_PEOPLE_WRITE)
def test_tables_as_people_write_them_are_read(name: str) -> None:
    text = AS_PEOPLE_WRITE[name]
    listing = read(text.encode("utf-16") if name == "utf-16 tabs" else text)
    found = classes(listing)
    assert found == PETS or (name == "list of mxnet" and list(found.values()) == [6, 6])
    assert listing.problems == []


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
@pytest.mark.parametrize("columns", [("image", "label"), ("File Name", "Classes"), ("id", "breed"), ("a", "b")])
def test_jsonl_and_parquet_are_read_alike(name: str, columns: tuple[str, str]) -> None:
    values = [f"{i:03d}" if columns[0] == "id" else f"photos\\{i:03d}.jpg" for i in range(N)]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(values, LABELS, strict=True)]
    if name == "t.jsonl":
        listing = read("\n".join(map(json.dumps, rows)), name)
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), name)
        listing = list_table(Path(name), asked(name, Path("w")))
    assert classes(listing) == PETS


def test_class_names_stored_beside_numbers_in_parquet_are_used() -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    rows = [
        {"image": {"bytes": b"\x89PNG" + bytes(80) + bytes([i]), "path": None}, "label": i % 2 if i < 10 else -1}
        for i in range(N)
    ]
    stored = pyarrow.Table.from_pylist(rows).replace_schema_metadata({"huggingface": json.dumps(about)})
    parquet.write_table(stored, "t.parquet")
    listing = list_table(Path("t.parquet"), asked("t.parquet", Path("w")))
    assert classes(listing) == {"cat": 5, "dog": 5}
    assert [problem.reason for problem in listing.problems] == ["row without a class"] * 2
    assert listing.items[0].file.read_bytes().startswith(b"\x89PNG")


def splits(listing: Listing) -> dict[str | None, int]:
    return dict(Counter(item.split for item in listing.items))


@pytest.mark.parametrize(
    ("header", "words", "expected"),
    [
        ("split", ["train", "valid", "test"], {"train": 4, "val": 4, "test": 4}),
        ("data set", ["TRAIN", "Validation", "TEST"], {"train": 4, "val": 4, "test": 4}),
        ("partition", ["0", "1", "2"], {"train": 4, "val": 4, "test": 4}),
        ("ml_use", ["train", "test", "UNASSIGNED"], {"train": 4, "test": 4, None: 4}),
        ("is_train", ["1", "0", "1"], {"train": 8, "test": 4}),
        ("is_valid", ["True", "False", "False"], {"train": 8, "val": 4}),
        ("whatever", ["train", "train", "test"], {"train": 8, "test": 4}),
        ("set", ["Base", "Jungle", "Fossil"], {None: N}),
        ("fold", ["0", "1", "2"], {None: N}),
        ("subset", ["2018", "2019", "2020"], {None: N}),
        ("split", ["yes", "no", "no"], {None: N}),
    ],
)
def test_a_column_of_splits_is_known_by_its_words(header: str, words: list[str], expected: dict) -> None:
    listing = read(lines(f"image,label,{header}", "{f},{l},{x}", [words[i // 2 % 3] for i in range(N)]))
    assert splits(listing) == expected
    assert classes(listing) == PETS


def test_a_column_that_is_no_split_is_said_and_can_be_switched_off() -> None:
    text = lines("image,label,set", "{f},{l},{x}", [("Base", "Jungle")[i // 2 % 2] for i in range(N)])
    assert any("column 'set' holds no splits" in note and "base (6 rows)" in note for note in read(text).notes)
    assert not any("'set'" in note for note in read(text, split_column="none").notes)
    with pytest.raises(DataError) as error:
        read(text, split_column="set")
    assert "`clipft prepare t.csv --split-column none`" in (error.value.hint or "")


def test_a_file_that_lies_in_several_folders_is_the_one_in_the_folder_of_its_class_or_column() -> None:
    for label in ("cat", "dog"):
        for i in range(N):
            path = Path("pets", label, f"{i}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\xff\xd8")
    rows = [f"{i}.jpg,{label}" for i, label in enumerate(LABELS)]
    by_class = read("\n".join(["filename,class", *rows]))
    by_column = read("\n".join(["file,breed,folder", *(f"{i}.jpg,x{i % 2},{label}" for i, label in enumerate(LABELS))]))
    for listing in (by_class, by_column):
        assert [item.file.parent.name for item in listing.items] == LABELS


def test_two_numbers_in_a_column_of_splits_are_refused() -> None:
    text = lines("image,label,split", "{f},{l},{x}", [i // 2 % 2 for i in range(N)])
    with pytest.raises(DataError, match=r"column 'split' sounds like splits, and holds numbers: 0 \(6 rows\)"):
        read(text)
    assert splits(read(text, split_column="none")) == {None: N}


def test_splits_beside_words_that_are_none_are_refused_with_the_command_that_decides() -> None:
    text = lines("image,label,split", "{f},{l},{x}", [("train", "extra")[i // 2 % 2] for i in range(N)])
    with pytest.raises(DataError) as error:
        read(text)
    assert "extra (6 rows)" in error.value.message
    assert splits(read(text, split_column="none")) == {None: N}


TWO_READINGS = {
    "two classes": (lines("image,breed,label", "{f},{l},{x}", [i // 3 for i in range(N)]), "--label-column breed"),
    "two unknown": (lines("image,a,b", "{f},{l},{x}", [i // 3 for i in range(N)]), "--label-column a"),
    "several one-hot": (lines("image,cat,dog", "{f},{x}", ["1,1"] + ["0,1"] * (N - 1)), "--label-column"),
    "joined": (lines("image,label", "{f},{x}", ["a|b", *"ab" * 5, "a"]), "--exclude '*|*'"),
    "joined with a part": (lines("image,label", "{f},{x}", ["a|c", *"ab" * 5, "a"]), "--exclude '*|*'"),
    "joined either way": (lines("image,Finding Labels", "{f},{x}", ["a|c", "c|d"] * (N // 2)), "--exclude '*|*'"),
    "of yes and no": (lines("image,cat,dog", "{f},{x}", ["1,1"] + ["-1,1"] * (N - 1)), "more than one class"),
    "joined by a blank": (lines("image,label", "{f},{x}", ["a b", *"ab" * 5, "a"]), "--exclude '* *'"),
    "a row a class": (lines("image,label", "{f},{l}") + lines("", "{f},fox"), "one row for each"),
    "a list": (lines("image,label", "{f},\"['{l}', 'x']\""), "one class an image"),
    "a mapping": (lines("image,label", '{f},"{{""name"": ""{l}""}}"'), "one class an image"),
    "bare comma": (lines("image,label", "{f},{l}, small"), "quotes"),
    "korean": (lines("image,label", "{f},{x}", ["고양이", "강아지"] * (N // 2)).encode("cp949"), "--encoding cp949"),
    "measures": (lines("image,score", "{f},{x}", [f"0.{i:02}" for i in range(N)]), "--label-column NAME"),
    "not there": (lines("image,label", "pics/{i}.png,{l}"), "--image-root FOLDER"),
    "no class": (lines("image,label", "{f},"), "--label-column NAME"),
}


@pytest.mark.parametrize("name", TWO_READINGS)
def test_what_is_not_clear_is_refused_with_the_way_out(name: str) -> None:
    text, way = TWO_READINGS[name]
    with pytest.raises(ClipftError) as error:
        read(text)
    assert way in f"{error.value.message} {error.value.hint}"
    assert error.value.exit_code == 3 or name in ("no class", "measures")


def test_rows_that_are_lost_are_a_warning_with_their_count_and_so_is_a_class() -> None:
    listing = read(lines("image,label", "{f},{l}") + "a.jpg,fox\nb.jpg,fox\n,cat\n")
    warn_of_losses(listing)
    assert listing.warnings == [
        "1 class has no image that can be used and is left out: fox (2 files: file not found)",
        "2 images left out, file not found: t.csv (2)",
        "1 image left out, row without an image: t.csv, line 16",
    ]


JSON_LABELS = st.text(min_size=1, max_size=10).filter(lambda text: text.strip() and text.strip()[0] not in "[({b")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON_LABELS, min_size=2, max_size=6, unique_by=lambda label: normalize("NFC", label.strip())))
def test_any_labels_of_a_table_are_as_many_classes(labels: list[str]) -> None:
    rows = [json.dumps({"image": f"photos/{i:03d}.jpg", "label": label}) for i, label in enumerate(labels)]
    listing = read("\n".join(rows), "t.jsonl", merge="none", label_column="label", split_column="none")
    assert set(listing.labels()) == {class_name(label.strip()) for label in labels}


def test_the_ways_out_work() -> None:
    assert len(classes(read(TWO_READINGS["two classes"][0], label_column="label"))) == 4
    assert classes(read(TWO_READINGS["joined"][0], merge="none"))["a|b"] == 1
    assert classes(read(TWO_READINGS["korean"][0], encoding="cp949")) == {"고양이": 6, "강아지": 6}
    listing = read(lines("image,label", "{i}.jpg,{l}"), image_root="photos")
    assert classes(listing) == PETS


def test_the_folder_of_each_image_is_its_class_where_that_is_asked_for_or_all_there_is() -> None:
    for i in range(N):
        path = Path("pets", LABELS[i], f"{i}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8")
    text = "\n".join(["path,label", *(f"pets/{label}/{i}.jpg,x" for i, label in enumerate(LABELS))])
    assert classes(read(text, label_column="none")) == PETS
    assert classes(read(text.replace(",label", "").replace(",x", ""))) == PETS


def test_columns_asked_for_are_taken_or_the_first_row_is_shown() -> None:
    text = lines("image,label,breed", "{f},x,{l}")
    assert classes(read(text, label_column="Breed")) == PETS
    with pytest.raises(ConfigError) as error:
        read(text, label_column="colour")
    assert "has no column 'colour'; columns: image, label, breed; line 2: photos/000.jpg, x, cat" in error.value.message
    with pytest.raises(ConfigError, match=r"001\.jpg'; columns: 1, 2"):
        read(lines("", "{f},{l}"), image_column="photos/001.jpg")


def test_groups_are_read_where_they_are_asked_for_and_suggested_where_a_column_sounds_like_some() -> None:
    text = lines("image,label,patient_id", "{f},{l},{x}", [f"p{i // 3}" for i in range(N)])
    assert [item.group for item in read(text, group_column="patient_id").items][:4] == ["p0", "p0", "p0", "p1"]
    (warning,) = read(text).warnings
    assert "(4 values in 12 rows); `clipft prepare t.csv --group-column patient_id`" in warning
    assert read(text, group_column="none").warnings == []


def test_labels_as_a_program_of_floats_writes_them_are_whole_numbers() -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"image": f"photos/{i:03d}.jpg", "label": float(i % 2) if i else None} for i in range(N)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "t.parquet")
    listing = list_table(Path("t.parquet"), asked("t.parquet", Path("w")))
    assert classes(listing) == {"0": 5, "1": 6}


def test_a_table_of_50_000_rows_is_read_in_seconds() -> None:
    with open("t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "label"))
        writer.writerows((f"photos/{i % N:03d}.jpg", f"class {i % N % 3}") for i in range(50_000))
    listing = list_table(Path("t.csv"), asked("t.csv", Path("w")))
    assert len(listing.items) + len(listing.problems) == 50_000


def test_a_key_that_stands_twice_in_a_json_line_is_no_row() -> None:
    text = "".join(f'{{"image": "photos/{i:03d}.jpg", "label": "{LABELS[i]}"}}\n' for i in range(N))
    joined = text.replace('"label": "cat"}\n{"image"', '"label": "cat", "image"', 1)
    listing = read(joined, "t.jsonl")
    assert len(listing.items) == N - 2
    assert [problem.reason for problem in listing.problems] == ["not a JSON object with each key once"]


def test_parquet_text_that_is_no_utf8_is_refused_in_words() -> None:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pa.table({"image": [f"photos/{i:03d}.jpg" for i in range(N)], "label": LABELS}), "t.parquet", compression="none"
    )
    content = Path("t.parquet").read_bytes()
    for old in (b"photos/003", b"label"):
        with pytest.raises(DataError, match="is no readable Parquet"):
            read(content.replace(old, old[:-1] + b"\xf5"), "t.parquet")


@pytest.mark.parametrize("name", ["fold", "kfold", "cv_fold"])
def test_folds_of_a_cross_validation_are_pointed_out_and_not_taken_for_splits(name: str) -> None:
    listing = read(lines(f"image,label,{name}", "{f},{l},{x}", [i % 4 for i in range(N)]))
    assert {item.split for item in listing.items} == {None}
    [told] = [note for note in listing.notes if "cross-validation" in note]
    assert f"--holdout-column {name}=0" in told


def test_a_column_of_yes_and_no_is_known_by_the_names_that_data_sets_give_it() -> None:
    for name in ("is_training_img", "is_train_image", "in_train", "IsTraining"):
        listing = read(lines(f"image,label,{name}", "{f},{l},{x}", [int(i % 3 > 0) for i in range(N)]))
        assert Counter(item.split for item in listing.items) == {"train": 8, "test": 4}, name


def test_a_name_that_stands_twice_in_the_header_over_columns_that_differ_is_a_question() -> None:
    other = [("owl", "fox")[i % 3 == 0] for i in range(N)]
    with pytest.raises(Question, match="has label 2 times") as asked_for:
        read(lines("file,label,label", "{f},{l},{x}", other))
    assert [answer.settings["label_column"] for answer in asked_for.value.answers] == ["label", "label (2)"]
    table = lines("file,label,label", "{f},{l},{x}", other)
    assert set(classes(read(table, label_column="label (2)"))) == {"owl", "fox"}
    assert classes(read(lines("file,label,label", "{f},{l},{l}"))) == PETS


def test_names_with_a_bar_whose_parts_keep_their_place_are_classes() -> None:
    listing = read(lines("image,label", "{f},{x}", ["passer|domesticus", "passer|montanus"] * (N // 2)))
    assert classes(listing) == {"passer|domesticus": 6, "passer|montanus": 6}
