"""Class folders with a table beside them: what the folders do not say, the table may."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from small_pictures import save_picture
from source_cases import asked

from clipft_cli.engine.sources import source_of
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.engine.sources.problems import UNLABELLED

CLASSES = ("n01", "n02", "n03")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """train/<class>/<i>.png, and six images of val without class folders."""
    for seed, label in enumerate(CLASSES * 4):
        save_picture(tmp_path / "set" / "train" / label / f"{seed}.png", seed)
    for i in range(6):
        save_picture(tmp_path / "set" / "val" / "images" / f"val_{i}.png", 100 + i)
    return tmp_path / "set"


def read(root: Path, **options: object) -> Listing:
    kind, _ = source_of(str(root), options.get("paths"))  # type: ignore[arg-type]
    return kind.read(asked(root, root.parent, **options))


ROWS = [(f"val_{i}.png", CLASSES[i % 3]) for i in range(6)]
TABLES = {
    "val/val_annotations.txt": "\n".join(f"{name}\t{label}\t0\t32\t44\t62" for name, label in ROWS),
    "val.csv": "Path,ClassId\n" + "\n".join(f"val/images/{name},{label}" for name, label in ROWS),
    "solution.csv": "ImageId,PredictionString\n"
    + "\n".join(f"{name.removesuffix('.png')},{label} {i} 2 3 {i + 4}" for i, (name, label) in enumerate(ROWS)),
    "val_labels.txt": "\n".join(f"{name} {label}" for name, label in ROWS),
}


@pytest.mark.parametrize("file", TABLES)
def test_a_table_gives_the_classes_of_images_in_no_class_folder(root, file):
    (root / file).write_text(TABLES[file])
    listing = read(root)
    assert Counter((item.split, item.label) for item in listing.items) == {
        **{("train", label): 4 for label in CLASSES},
        **{("val", label): 2 for label in CLASSES},
    }
    assert not any(problem.reason == UNLABELLED for problem in listing.problems)
    assert any(f"{file} gives classes to 6 images" in note for note in listing.notes)
    assert {item.name: item.label for item in listing.items if item.split == "val"} == {
        f"val/images/{name}": label for name, label in ROWS
    }


@pytest.mark.parametrize("file", TABLES)
def test_the_folders_alone_where_that_is_asked_for(root, file):
    (root / file).write_text(TABLES[file])
    listing = read(root, label_column="none")
    assert {item.split for item in listing.items} == {"train"}
    assert sum(problem.reason == UNLABELLED for problem in listing.problems) == 6


def test_a_layout_in_words_reads_the_same_as_the_guess(root):
    (root / "val/val_annotations.txt").write_text(TABLES["val/val_annotations.txt"])
    guessed = read(root)
    assert read(root, paths=guessed.read_as["paths"]).items == guessed.items


def test_classes_that_the_folders_do_not_have_are_said_and_left_out(root):
    (root / "val.csv").write_text("image,label\n" + "\n".join(f"{name},{label}x" for name, label in ROWS))
    listing = read(root)
    assert {item.split for item in listing.items} == {"train"}
    assert any("other classes than the folders have (n01x, n02x, n03x)" in text for text in listing.warnings)


def test_a_table_with_a_label_of_its_own_for_each_image_is_no_table_of_classes(tmp_path):
    names = []
    for seed, label in enumerate(CLASSES * 4):
        save_picture(tmp_path / "set" / "images" / label / f"{seed}.png", seed)
        names.append(f"{seed + 1} {label}/{seed}.png")
    (tmp_path / "set" / "images.txt").write_text("\n".join(names))
    assert read(tmp_path / "set").labels() == list(CLASSES)


def test_class_folders_deep_below_others_come_before_a_table_of_some_images(root, tmp_path):
    deep = tmp_path / "outer" / "Data" / "CLS"
    deep.parent.mkdir(parents=True)
    root.rename(deep)
    (tmp_path / "outer" / "solution.csv").write_text(TABLES["solution.csv"])
    listing = read(tmp_path / "outer")
    assert Counter(item.split for item in listing.items) == {"train": 12, "val": 6}
    assert listing.labels() == list(CLASSES)
