"""Names of classes that are numbers or WordNet's: taken from the one file that has all of them, never from another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipft_cli.engine.sources.class_words import name_classes
from clipft_cli.engine.sources.listing import Item, Listing

NAMES = ("blight", "brown streak", "healthy")
BY_NUMBER = {str(n): name for n, name in enumerate(NAMES)}
WNIDS = {"n01440764": "tench", "n02102040": "English springer", "n03000684": "chain saw"}
FILES = {
    "map.json": json.dumps(BY_NUMBER),
    "list.json": json.dumps(NAMES),
    "class_indices.json": json.dumps({name: n for n, name in enumerate(NAMES)}),
    "classes.txt": "\n".join(NAMES),
    "map.txt": "\n".join(f"{n} {name}" for n, name in BY_NUMBER.items()),
    "labels.names": "\n".join(f"{n}: {name}" for n, name in BY_NUMBER.items()),
    "class_names.csv": "class_id,name\n" + "\n".join(f"{n},{name}" for n, name in BY_NUMBER.items()),
    "map.tsv": "name\tid\n" + "\n".join(f"{name}\t{n}" for n, name in BY_NUMBER.items()),
}
NO_NAMES = {
    "of images.csv": "id,filename\n0,a.jpg\n1,b.jpg\n2,c.jpg",
    "of more.csv": "id,title\n" + "\n".join(f"{n},picture {n} here" for n in range(9)),
    "of fewer.json": json.dumps({"0": "blight"}),
    "two alike.json": json.dumps({"0": "a", "1": "a", "2": "b"}),
    "numbers.json": json.dumps({"0": "7", "1": "8", "2": "9"}),
    "README.txt": "three\nlines\nof text",
    "broken.json": "{",
    "nested.json": json.dumps({"0": ["a"], "1": {"x": 1}}),
}


def listed(labels, folder: Path) -> Listing:
    listing = Listing("set", "set", [Item(folder / f"{n}.png", f"{n}.png", label) for n, label in enumerate(labels)])
    name_classes(listing, folder)
    return listing


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_numbers_stand_in_a_file_beside(tmp_path, name):
    (tmp_path / name).write_text(FILES[name])
    listing = listed(["0", "1", "2", "1"], tmp_path)
    assert listing.class_words == BY_NUMBER
    assert listing.notes == [f"the names of classes are those of {name}: 0 is blight, ..."]
    assert listed(["00", "01", "02"], tmp_path).class_words == {f"0{n}": name for n, name in BY_NUMBER.items()}


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_list_of_these_classes_names_none(tmp_path, name):
    (tmp_path / name).write_text(NO_NAMES[name])
    listing = listed(["0", "1", "2"], tmp_path)
    assert (listing.class_words, listing.notes, listing.warnings) == ({}, [], [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "LOC_synset_mapping.txt",
            "n01440764 tench, Tinca tinca\nn02102040 English springer, springer\nn03000684 chain saw\nn09999999 other",
        ),
        (
            "imagenet_class_index.json",
            json.dumps({str(i): [w, n.replace(" ", "_")] for i, (w, n) in enumerate(WNIDS.items())}),
        ),
    ],
)
def test_wordnets_numbers_are_named_from_a_list_of_more_classes(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = listed(WNIDS, tmp_path).class_words
    assert {code: words.replace("_", " ") for code, words in found.items()} == WNIDS


def test_words_are_left_as_they_are_and_two_lists_are_not_chosen_from(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"0": "cat", "1": "dog"}))
    assert listed(["cat", "dog"], tmp_path).class_words == {}
    (tmp_path / "classes.txt").write_text("cat\ndog")
    assert listed(["0", "1"], tmp_path).class_words == {"0": "cat", "1": "dog"}
    (tmp_path / "classes.txt").write_text("dog\ncat")
    listing = listed(["0", "1"], tmp_path)
    assert listing.class_words == {}
    assert listing.warnings == ["classes.txt, map.json name the classes differently: none is taken, edit classes.txt"]


def test_a_folder_of_very_many_files_is_not_searched(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(BY_NUMBER))
    for n in range(201):
        (tmp_path / f"{n}.txt").write_text("0.1 0.2")
    assert listed(["0", "1", "2"], tmp_path).class_words == {}
