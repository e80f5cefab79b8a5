"""Which layouts a tree of folders gives evidence for: one is taken, several are asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_cases import asked

from clipft_cli.engine.sources.folders import list_folder
from clipft_cli.engine.sources.layouts import layouts
from clipft_cli.engine.sources.shape import shape_of
from clipft_cli.engine.sources.tree import Tree, walk

TREES: dict[str, tuple[str, str]] = {
    "class folders": (
        "cat/*5; dog/*5",
        "{class}",
    ),
    "train, val and test": (
        "test/cat/*5; test/dog/*5; train/cat/*5; train/dog/*5; val/cat/*5; val/dog/*2",
        "{split}/{class}",
    ),
    "intel": (
        "seg_pred/seg_pred/*9; seg_test/seg_test/forest/*5; seg_test/seg_test/sea/*5"
        "; seg_train/seg_train/forest/*5; seg_train/seg_train/sea/*5",
        "{split}/*/{class}",
    ),
    "catdog": (
        "test_set/test_set/cats/*5; test_set/test_set/dogs/*2; training_set/training_set/cats/*5"
        "; training_set/training_set/dogs/*5",
        "{split}/*/{class}",
    ),
    "vehicles flat": (
        "bus/*5; car/*5; train/*5",
        "{class}",
    ),
    "vehicles deep": (
        "bus/city/*5; bus/coach/*4; car/*5; train/diesel/*5; train/steam/*5",
        "{split}/{class} | {class}",
    ),
    "split and class in one name": (
        "Train_cat/*5; Train_dog/*5; test_cat/*3; test_dog/*3",
        "{split:Train|test}_{class}/**",
    ),
    "class and split in one name": (
        "fox red-test/*3; fox red-train/*5; fox grey-test/*3; fox grey-train/*5",
        "{class}-{split:test|train}/**",
    ),
    "split and class in one name, of other classes": (
        "test_cat/*3; test_owl/*3; train_cat/*5; train_dog/*5",
        "{split:test|train}_{class}/** | {class}",
    ),
    "splits in the names of files": (
        "cat/test_1.png; cat/train_1.png; cat/train_2.png; dog/test_3.png; dog/train_4.png; dog/train_5.png",
        "{class}/{split:test|train}_* | {class}",
    ),
    "splits at the end of the names of files": (
        "cat/1-test.png; cat/2-train.png; cat/3-train.png; dog/4-test.png; dog/5-train.png",
        "{class}/*-{split:test|train}.* | {class}",
    ),
    "splits in one of two folders": (
        "raw/cat/*3; raw/dog/*3; ready/test/cat/*2; ready/test/dog/*2; ready/train/cat/*3; ready/train/dog/*3",
        "ready/{split}/{class} | {class}",
    ),
    "patients inside splits": (
        "test/p3/a/*2; test/p3/b/*2; train/p1/a/*2; train/p1/b/*2; train/p2/a/*2; train/p2/b/*2",
        "{split:test/p3|train}/{class} | {split}/**/{class}/* | {split}/{group}/{class} | {class}",
    ),
    "patients with studies that say the class": (
        "valid/p7/study1_positive/*2; train/p1/study1_positive/*2; train/p2/study1_negative/*2"
        "; train/p3/study1_negative/*2; train/p3/study2_positive/*2; valid/p9/study1_negative/*3",
        "{split}/{class} | {split}/**/{class}/* | {split}/{group}/{class}"
        r" | {split}/{group}/{:study\d+_}{class} | {class}",
    ),
    "the same below a part of the body": (
        "train/elbow/p1/ill/*2; train/elbow/p2/well/*2; train/wrist/p3/ill/*2; train/wrist/p4/well/*2"
        "; test/elbow/p5/ill/*2; test/wrist/p6/well/*2",
        "{split}/{class} | {split}/*/{group}/{class}",
    ),
    "patients of one class each": (
        "case 1/benign/*3; case 2/malignant/*3; case 3/benign/*3; case 4/malignant/*2",
        "{class} | {group}/{class}",
    ),
    "a series of classes, each with its cameras": (
        "c0/cam1/*3; c0/cam2/*3; c1/cam1/*3; c1/cam2/*3; c2/cam1/*3; c2/cam2/*3",
        "{class}",
    ),
    "variants inside train": (
        "test/a/*2; test/b/*2; train/augmented/a/*2; train/augmented/b/*2; train/original/a/*2; train/original/b/*2",
        "{split}/{class} | {split}/**/{class}/* | {class}",
    ),
    "val inside train": (
        "test/cat/*3; test/dog/*3; train/cat/*5; train/dog/*5; train/val/cat/*2; train/val/dog/*2",
        "{split:train/val|test|train}/{class}",
    ),
    "patients above": (
        "p1/ill/*2; p1/well/*2; p2/ill/*2; p2/well/*2; p3/ill/*2; p3/well/*2",
        "*/{class} | {group}/{class} | p1/{class} | p2/{class} | p3/{class} | {class}",
    ),
    "one word in the names of files": (
        "cat/test_1.png; cat/test_2.png; dog/test_3.png; dog/test_4.png",
        "{class}",
    ),
    "0, 1 and 2": (
        "0/cat/*5; 0/dog/*5; 1/cat/*3; 1/dog/*3; 2/cat/*3; 2/dog/*3",
        "{split}/{class} | */{class} | {group}/{class} | 0/{class} | 1/{class} | 2/{class} | {class}",
    ),
    "other languages": (
        "Prüfung/Hund/*3; Prüfung/Katze/*3; Trainingsdaten/Hund/*5; Trainingsdaten/Katze/*5",
        "{split}/{class}",
    ),
    "plurals": (
        "tests/cat/*3; tests/dog/*3; trains/cat/*5; trains/dog/*5",
        "{split}/{class}",
    ),
    "vehicles in the plural": (
        "buses/city/*5; buses/coach/*4; cars/*5; trains/diesel/*5; trains/steam/*5",
        "{class}",
    ),
    "disjoint": (
        "test/c/*5; test/d/*5; train/a/*5; train/b/*5",
        "{split}/{class} | {class}",
    ),
    "variants": (
        "augmented/cat/*5; augmented/dog/*5; original/cat/*5; original/dog/*5",
        "*/{class} | augmented/{class} | original/{class} | {class}",
    ),
    "sizes": (
        "224/cat/*5; 224/dog/*5; 512/cat/*5; 512/dog/*5",
        "*/{class} | 224/{class} | 512/{class} | {class}",
    ),
    "images and masks in each class": (
        "COVID/images/*5; COVID/masks/*5; Normal/images/*5; Normal/masks/*5",
        "{class}/images/**",
    ),
    "images and masks above the classes": (
        "images/cat/*5; images/dog/*5; masks/cat/*5; masks/dog/*5",
        "images/{class}",
    ),
    "flat img masks": (
        "images/*5; masks/*5",
        "",
    ),
    "split img masks": (
        "test/images/cat/*5; test/images/dog/*5; test/masks/cat/*3; test/masks/dog/*3; train/images/cat/*5"
        "; train/images/dog/*5; train/masks/cat/*5; train/masks/dog/*5",
        "{split}/images/{class}",
    ),
    "class split": (
        "cat/test/*5; cat/train/*5; dog/test/*5; dog/train/*5",
        "{class}/{split}",
    ),
    "mvtec": (
        "bottle/test/broken/*4; bottle/test/good/*4; bottle/train/good/*5; cable/test/cut/*4"
        "; cable/test/good/*4; cable/train/good/*5",
        "*/{split}/{class} | bottle/{split}/{class} | cable/{split}/{class} | {class}/{split}",
    ),
    "mvtec1": (
        "bottle/ground_truth/broken/*4; bottle/test/broken/*4; bottle/test/good/*4; bottle/train/good/*5",
        "bottle/{split}/{class}",
    ),
    "lone test": (
        "test/cat/*5; test/dog/*5",
        "{split}/{class}",
    ),
    "one under test": (
        "test/unknown/*5; train/cat/*5; train/dog/*5",
        "{split}/{class}",
    ),
    "flat cars": (
        "cars_test/*5; cars_train/*5",
        "{class} ?",
    ),
    "dogs-vs-cats": (
        "test1/1.jpg; test1/2.jpg; train/cat.0.jpg; train/cat.1.jpg; train/dog.0.jpg; train/dog.1.jpg",
        "{split}/{class}.{:\\d+}.* ? | {class} ?",
    ),
    "dtd": (
        "images/banded/*5; images/dotted/*5; imdb/a.mat; labels/x.txt",
        "images/{class}",
    ),
    "newplant": (
        "New(Aug)/New(Aug)/train/a/*5; New(Aug)/New(Aug)/train/b/*5; New(Aug)/New(Aug)/valid/a/*5"
        "; New(Aug)/New(Aug)/valid/b/*5; test/test/*5",
        "New(Aug)/New(Aug)/{split}/{class}",
    ),
    "xray": (
        "chest/test/N/*5; chest/train/N/*5; chest/train/P/*5; test/N/*5; test/P/*5; train/N/*5; train/P/*5",
        "{split}/{class}",
    ),
    "gtsrb": (
        "Meta/*2; Test/*5; Train/0/*5; Train/1/*5",
        "{split}/{class}",
    ),
    "tinyimagenet": (
        "test/images/*5; train/n01/images/*5; train/n02/images/*5; val/images/*5",
        "{split}/{class}",
    ),
    "fruits": (
        "Test/Apple/*5; Test/Pear/*5; Training/Apple/*5; Training/Pear/*5; test-multiple_fruits/*4",
        "{split}/{class}",
    ),
    "hier": (
        "animals/cat/*5; animals/dog/*5; vehicles/bus/*5; vehicles/car/*5",
        "{class} | */{class} | {class}/{group}",
    ),
    "three levels": (
        "a/x/red/*3; a/x/blue/*3; a/yy/old/*3; b/zz/new/*3; b/xx/late/*3; b/xx/early/*3",
        "{class} | */{class} | */*/{class} | {class}/{group}",
    ),
    "numbered names inside": (
        "birds/001.gull/*3; birds/002.tern/*3; bugs/003.wasp/*3",
        "{class} | */{class} | {class}/{group}",
    ),
    "other writing inside": (
        "животные/кошки/*3; животные/собаки/*3; птицы/совы/*3",
        "{class} | */{class} | {class}/{group}",
    ),
    "days inside": (
        "ill/2023-05-01/*3; ill/2023-05-02/*3; well/2023-06-01/*3",
        "{class}",
    ),
    "one class has folders inside": (
        "cat/*3; dog/big/*3; dog/small/*3; owl/*3",
        "{class}",
    ),
    "images beside the folders inside": (
        "cat/*3; cat/indoor/*3; cat/outdoor/*3; dog/*3; dog/beach/*3; dog/forest/*3",
        "{class}",
    ),
    "test has one of the classes": (
        "test/cat/*4; train/cat/*5; train/dog/*5; val/cat/*2; val/dog/*2",
        "{split}/{class} | {split:train|val}/{class}",
    ),
    "test has one class that train lacks": (
        "Test_Set/owl/*4; Training Set/cat/*5; Training Set/dog/*5",
        "{split:Training\\ Set}/{class} | {split}/{class}",
    ),
    "val has one of the classes": (
        "test/cat/*4; test/dog/*4; train/cat/*5; train/dog/*5; validation/dog/*2",
        "{split}/{class} | {split:test|train}/{class}",
    ),
    "one number under test": (
        "test/0/*4; train/cat/*5; train/dog/*5",
        "{split}/{class}",
    ),
    "all images under test": (
        "test/all/*4; train/cat/*5; train/dog/*5",
        "{split}/{class}",
    ),
    "patients": (
        "benign/p1/*5; benign/p2/*5; malign/p3/*5; malign/p4/*5",
        "{class}",
    ),
    "masks beside images": (
        "benign/b (1).png; benign/b (1)_mask.png; benign/b (2).png; benign/b (2)_mask.png"
        "; benign/b (2)_mask_1.png; normal/n (1).png; normal/n (1)_mask.png",
        "{class}/{:(?!.*(?:_mask)(?:[ _-]?\\d+)?\\.[^/.]+$).+}",
    ),
    "facemask": (
        "with_mask/*5; without_mask/*5",
        "{class}",
    ),
    "years": (
        "2019/cat/*5; 2019/dog/*5; 2020/cat/*5; 2020/dog/*5",
        "*/{class} | 2019/{class} | 2020/{class} | {class}",
    ),
    "unlabeled": (
        "train/a/*5; train/b/*5; unlabeled/*9",
        "{split}/{class}",
    ),
    "extra": (
        "extra/a/*9; extra/b/*3; train/a/*5; train/b/*5",
        "{split}/{class} | */{class} | {class}",
    ),
    "images+samples": (
        "images/a/*5; images/b/*5; samples/*3",
        "images/{class} | {class}",
    ),
    "tests that are classes": (
        "blood_test/*5; tumor_test/*4",
        "{class}",
    ),
    "pregnancy": (
        "blood/x/*5; blood/y/*3; pregnancy_test/neg/*4; pregnancy_test/pos/*4",
        "{class}",
    ),
    "augsplit": (
        "augmented/test/a/*3; augmented/test/b/*2; augmented/train/a/*3; augmented/train/b/*3"
        "; original/test/a/*3; original/test/b/*3; original/train/a/*3; original/train/b/*3",
        "*/{split}/{class} | augmented/{split}/{class} | original/{split}/{class} | {class}/{split}",
    ),
    "flatnames": (
        "cat_1.jpg; cat_2.jpg; dog_1.jpg; dog_2.jpg",
        "",
    ),
    "images and labels above the splits": (
        "images/train/a/*3; images/train/b/*3; images/val/a/*3; images/val/b/*3; labels/train/x.txt",
        "images/{split}/{class}",
    ),
    "train only": (
        "train/a/*5; train/b/*5",
        "{split}/{class}",
    ),
    "a split one level deeper": (
        "train/a/*3; train/b/*3; val/images/a/*3; val/images/b/*3",
        "{split:train|val/images}/{class}",
    ),
    "a folder of masks in a class folder": (
        "cat/1.jpg; cat/2.jpg; cat/masks/1.png; cat/masks/2.png; dog/3.jpg; dog/masks/3.png",
        "{class}/{:(?!masks/).+}",
    ),
    "an empty class folder": (
        "bird/; cat/*5; dog/*4",
        "{class}",
    ),
    "one class folder": (
        "cats/*5",
        "{class}",
    ),
    "loose images": (
        "*5",
        "",
    ),
    "a test folder of loose images": (
        "test/*6; train/a/*4; train/b/*4; val/a/*3; val/b/*3",
        "{split}/{class}",
    ),
    "splits in capitals": (
        "TRAIN/A/*3; TRAIN/B/*3; Test/a/*3; Test/b/*3",
        "{split}/{class}",
    ),
    "a test with the same classes beside those of train": (
        "cat/*5; dog/*5; test/cat/*3; test/dog/*3",
        "{split:(test/)?}{class:(?!test/)[^/]+}",
    ),
    "a val and a test with classes beside those of train": (
        "cat/*5; dog/*5; test.set/cat/*3; test.set/dog/*3; val/cat/*3; val/dog/*3",
        r"{split:((?:test\.set|val)/)?}{class:(?!(?:test\.set|val)/)[^/]+}",
    ),
    "unlabelled images beside class folders": (
        "cat/*5; dog/*5; test_images/*3",
        "{class:(?!test_images/)[^/]+} | {class}",
    ),
    "unlabelled images in a folder of a test beside class folders": (
        "cat/*5; dog/*5; to predict/*2; val/unknown/*3",
        "{class:(?!(?:to predict|val)/)[^/]+} | {class}",
    ),
    "classes that have a word of splits in them": (
        "blood test/*5; eye test/*5; skin/*3",
        "{class}",
    ),
    "the same sub-folders in every class": (
        "cat/left/*3; cat/right/*3; dog/left/*3; dog/right/*2",
        "*/{class} | cat/{class} | dog/{class} | {class}",
    ),
}
"""Files of a tree (`cat/*5`: five images), and the templates of its layouts; ` ?` after one that is asked about."""


def tree_of(files: str) -> Tree:
    tree = Tree(Path())
    for text in files.split("; "):
        folder, _, n = text.partition("*")
        paths = [Path(f"{folder}{i}.jpg") for i in range(int(n))] if n else [Path(text)]
        tree.files += [] if text.endswith("/") else paths
        inside = (Path(text),) if text.endswith("/") else ()
        for above in (*reversed(paths[0].parents), *inside):
            if above != Path() and above not in tree.folders:
                tree.folders.append(above)
    return tree


def written(root: Path, files: str) -> Path:
    """The tree on disk, its files empty."""
    for path in tree_of(files).files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@pytest.mark.parametrize("name", [name for name in TREES if TREES[name][1]])
def test_each_reading_that_is_offered_can_be_taken(name: str, tmp_path: Path) -> None:
    root = written(tmp_path / "set", TREES[name][0])
    for layout in layouts(shape_of(walk(root))):
        settings = {"paths": layout.template, **layout.settings}
        listing = list_folder(root, asked(root, tmp_path, **settings))
        assert listing.labels(), layout
        assert (settings.get("given_splits") == "ignore") <= (len(listing.labels()) > 2)


@pytest.mark.parametrize("name", [name for name, (_, found) in TREES.items() if found and not set(found) & set("|?")])
def test_a_guess_is_a_template_that_reads_the_same(name: str, tmp_path: Path) -> None:
    root = written(tmp_path / "set", TREES[name][0])
    guessed = list_folder(root, asked(root, tmp_path))
    told = list_folder(root, asked(root, tmp_path, paths=guessed.read_as["paths"]))
    assert told.items == guessed.items


@pytest.mark.parametrize("name", TREES)
def test_a_tree_has_these_layouts(name: str) -> None:
    files, expected = TREES[name]
    found = layouts(shape_of(tree_of(files)))
    assert " | ".join(layout.template + ("" if layout.is_sure else " ?") for layout in found) == expected
