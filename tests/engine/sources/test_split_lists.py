"""Lists of names beside class folders are the splits that a data set came with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from small_pictures import save_picture
from source_cases import asked

from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.errors import ConfigError, DataError, Question

CLASSES = ("apple", "pear")
N = 10
NAMES = [f"{label}/{label}_{i:03d}.png" for label in CLASSES for i in range(N)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """images/<class>/<class>_<i>.png, and nothing beside them yet."""
    for seed, name in enumerate(NAMES):
        save_picture(tmp_path / "set" / "images" / name, seed)
    return tmp_path / "set"


def lists(root: Path, **parts: list[str]) -> Path:
    """Lists of names; `meta__train` is meta/train.txt."""
    for key, names in parts.items():
        path = root / (key.replace("__", "/") + ".txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(names) + "\n")
    return root


def read(source: Path, **options: object) -> Listing:
    kind, _ = source_of(str(source), options.get("paths"))  # type: ignore[arg-type]
    return kind.read(asked(source, source.parent, **options))


def splits(listing: Listing) -> dict[str, str | None]:
    return {item.name.removeprefix("images/"): item.split for item in listing.items}


def parted() -> tuple[list[str], list[str], list[str]]:
    return NAMES[0::2], NAMES[1::4], NAMES[3::4]


def without_suffix(names: list[str]) -> list[str]:
    return [name.removesuffix(".png") for name in names]


FORMS = {
    "paths": lambda names: names,
    "without suffix": without_suffix,
    "names alone": lambda names: [name.rpartition("/")[2] for name in names],
    "from the root": lambda names: [f"images/{name}" for name in names],
    "numbers behind": lambda names: [f"{name} 1 2 1" for name in without_suffix(names)],
    "with the class": lambda names: [f"{name}\t{name.split('/')[0]}" for name in names],
    "of another machine": lambda names: [f"/home/me/data/images/{name}" for name in names],
    "a comment": lambda names: ["# images of this split", *names],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["meta__{}", "{}", "splits__{}_list", "{}_1"])
def test_lists_are_the_given_splits(root, form, where):
    train, val, test = parted()
    parts = {"train": train, "val": val, "test": test}
    lists(root, **{where.format(split): FORMS[form](names) for split, names in parts.items()})
    listing = read(root)
    assert splits(listing) == {name: split for split, names in parts.items() for name in names}
    template = where.format("{split}").replace("__", "/") + ".txt"
    assert listing.read_as["split_lists"] == template
    assert listing.places["split"] == f"lists {template}"


def test_a_json_of_lists_by_class(root):
    for split, names in (("train", NAMES[::2]), ("test", NAMES[1::2])):
        by_class = {label: [n for n in without_suffix(names) if n.startswith(label)] for label in CLASSES}
        (root / f"{split}.json").write_text(json.dumps(by_class))
    assert Counter(splits(read(root)).values()) == {"train": N, "test": N}


def test_train_and_val_in_one_list_are_for_training(root):
    lists(root, train_val_list=NAMES[:15], test_list=NAMES[15:])
    assert Counter(splits(read(root)).values()) == {"train": 15, "test": 5}


def test_a_union_beside_its_parts_is_not_read(root):
    train, val, test = parted()
    lists(root, annotations__trainval=train + val, annotations__train=train, annotations__val=val)
    lists(root, annotations__test=test)
    assert Counter(splits(read(root)).values()) == {"train": 10, "val": 5, "test": 5}


def test_several_ways_to_divide_are_asked_about_and_each_answer_holds(root):
    lists(root, labels__train1=NAMES[0::2], labels__test1=NAMES[1::2])
    lists(root, labels__train2=NAMES[1::2], labels__test2=NAMES[0::2])
    with pytest.raises(Question, match="divide them in 2 ways") as caught:
        read(root)
    templates = [answer.settings.get("split_lists") for answer in caught.value.answers]
    assert templates == ["labels/{split}1.txt", "labels/{split}2.txt", None]
    assert "--split-lists 'labels/{split}2.txt'" in caught.value.commands[1]
    for answer in caught.value.answers:
        found = Counter(splits(read(root, **answer.settings)).values())
        assert found == ({None: 20} if "given_splits" in answer.settings else {"train": 10, "test": 10})


def test_the_same_lists_twice_are_one(root):
    lists(root, train=NAMES[::2], test=NAMES[1::2], meta__train=NAMES[::2], meta__test=NAMES[1::2])
    assert Counter(splits(read(root)).values()) == {"train": 10, "test": 10}


@pytest.mark.parametrize(
    "parts",
    [
        {"train": NAMES},  # one split alone divides nothing
        {"train": NAMES[:4], "test": NAMES[4:6]},  # too few of the images
        {"train": NAMES[:12], "test": NAMES[8:]},  # an image in both
        {"train": [f"line {i}" for i in range(10)], "test": ["words"]},
        {"train": ["nothing/of/this.png"] * 5 + NAMES[:5], "test": NAMES[5:]},
        {"train_classes": list(CLASSES), "test_classes": list(CLASSES)},
        {"training_notes": NAMES[:10], "protest": NAMES[10:]},
    ],
)
def test_what_does_not_divide_the_images_is_left_alone(root, parts):
    assert set(splits(read(lists(root, **parts))).values()) == {None}


def test_images_in_no_list_are_divided_as_others_are_and_that_is_said(root):
    listing = read(lists(root, train=NAMES[:10], test=NAMES[10:18]))
    assert Counter(splits(listing).values()) == {"train": 10, "test": 8, None: 2}
    assert "2 images that stand in no list are divided by --split" in listing.notes


def test_folders_of_splits_come_before_lists(tmp_path):
    for split in ("train", "test"):
        for seed, label in enumerate(CLASSES * 3):
            save_picture(tmp_path / "set" / split / label / f"{seed}.png", seed + (split == "test") * 50)
    lists(tmp_path / "set", train=["test/apple/0.png"], test=["train/apple/0.png"])
    assert set(splits(read(tmp_path / "set")).items()) >= {("train/apple/0.png", "train"), ("test/apple/0.png", "test")}


def test_a_table_of_classes_with_lists_of_splits_beside_it(root):
    rows = "\n".join(f"{name.rpartition('/')[2]},{'ill' if i % 3 else 'well'}" for i, name in enumerate(NAMES))
    (root / "Data_Entry.csv").write_text("Image Index,Finding Labels\n" + rows + "\n")
    lists(root, train_val_list=FORMS["names alone"](NAMES[:15]), test_list=FORMS["names alone"](NAMES[15:]))
    listing = read(root / "Data_Entry.csv")
    assert Counter(item.split for item in listing.items) == {"train": 15, "test": 5}


def test_the_option_takes_lists_whatever_they_are_called(root):
    lists(root, one__train_of_mine=NAMES[:3], one__test_of_mine=NAMES[3:4])
    (root / "one").rename(root / "two")
    assert Counter(splits(read(root, split_lists="two/{split}_of_mine.txt")).values()) == {
        "train": 3,
        "test": 1,
        None: 16,
    }


@pytest.mark.parametrize(
    ("asked_for", "error", "told"),
    [
        ("meta/train.txt", ConfigError, "{split} stands in it once"),
        ("other/{split}.txt", ConfigError, "no file below .* is called so"),
        ("meta/{split}.md", DataError, "no name in these files is that of an image"),
        ("twice/{split}.txt", DataError, "an image of test stands in the list of train too|an image of train stands"),
    ],
)
def test_an_option_that_finds_nothing_is_refused(root, asked_for, error, told):
    lists(root, meta__train=NAMES[:10], twice__train=NAMES[:10], twice__test=NAMES[:10])
    for split in ("train", "test"):
        (root / "meta" / f"{split}.md").write_text("nothing\nat all\n")
    with pytest.raises(error, match=told):
        read(root, split_lists=asked_for)


def test_no_lists_where_given_splits_do_not_count(root):
    lists(root, train=NAMES[::2], test=NAMES[1::2])
    assert set(splits(read(root, given_splits="ignore")).values()) == {None}


def test_splits_in_numbers_are_pointed_out(root):
    lists(root, train_test_split=[f"{i} {i % 2}" for i in range(20)])
    assert any("train_test_split.txt may say which images are for training" in text for text in read(root).warnings)


def test_every_kind_with_folders_reads_lists(root, tmp_path):
    import shutil

    lists(root, train=NAMES[::2], test=NAMES[1::2])
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root))
    listing = SOURCES["archive"].read(asked(archive, tmp_path))
    assert Counter(item.split for item in listing.items) == {"train": 10, "test": 10}
