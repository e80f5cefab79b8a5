"""Folders read in the layout that they show, or that --paths says; what that leaves out is said."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from small_pictures import class_folders, save_picture

from clipft_cli.config.prepare import PrepareOptions
from clipft_cli.engine.sources.folders import list_folder
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.engine.sources.losses import warn_of_losses
from clipft_cli.engine.sources.problems import A_MASK, BESIDE_SPLITS, UNLABELLED
from clipft_cli.engine.sources.source import SourceRequest
from clipft_cli.errors import DataError, Question


def read(root: Path, paths: str | None = None) -> Listing:
    options = PrepareOptions(source=str(root), paths=paths)
    listing = list_folder(root, SourceRequest(options, 0, root, root, lambda stage, done, total: None))
    warn_of_losses(listing)
    return listing


def counts(listing: Listing) -> dict[tuple[str | None, str], int]:
    return dict(Counter((item.split, item.label) for item in listing.items))


def test_images_in_test_without_class_folders_are_set_aside(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 3)
    class_folders(tmp_path / "test", 4, ("unknown",))
    listing = read(tmp_path)
    assert counts(listing) == {("train", "cat"): 3, ("train", "dog"): 3}
    assert Counter(problem.reason for problem in listing.problems) == {UNLABELLED: 4}
    assert listing.warnings == [f"4 images left out, {UNLABELLED}: test/unknown (4)"]


def test_a_split_of_loose_images_is_unlabelled_and_not_empty(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 3)
    for seed in range(2):
        save_picture(tmp_path / "test" / f"{seed}.png", seed)
    assert [problem.reason for problem in read(tmp_path).problems] == [UNLABELLED] * 2


def test_a_split_inside_another_is_a_split_of_its_own(tmp_path: Path) -> None:
    for place, n in (("train", 3), ("train/val", 2), ("test/images", 1)):
        class_folders(tmp_path / place, n, start=100 * n)
    found = read(tmp_path)
    assert Counter(item.split for item in found.items) == {"train": 6, "val": 4, "test": 2}
    assert (found.problems, found.warnings) == ([], [])


def test_folders_0_1_and_2_are_the_splits_that_a_template_says(tmp_path: Path) -> None:
    for number, n in (("0", 5), ("1", 2), ("2", 3)):
        class_folders(tmp_path / number, n, start=100 * int(number))
    found = read(tmp_path, paths="{split}/{class}")
    assert Counter(item.split for item in found.items) == {"train": 10, "val": 4, "test": 6}


def test_a_folder_beside_the_splits_is_left_out_with_a_warning(tmp_path: Path) -> None:
    for split in ("seg_train", "seg_test"):
        class_folders(tmp_path / split / split, 2)
    class_folders(tmp_path / "seg_pred", 3, ("seg_pred",))
    listing = read(tmp_path)
    assert counts(listing) == {(split, label): 2 for split in ("train", "test") for label in ("cat", "dog")}
    assert listing.read_as == {"paths": "{split}/*/{class}"}
    assert [BESIDE_SPLITS in warning and "(3)" in warning for warning in listing.warnings] == [True]


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"])
def test_folders_of_the_system_are_no_classes(tmp_path: Path, folder: str) -> None:
    class_folders(tmp_path, 2)
    save_picture(tmp_path / folder / "1.jpg", 1)
    save_picture(tmp_path / "cat" / folder / "1.jpg", 2)
    listing = read(tmp_path)
    assert counts(listing) == {(None, "cat"): 2, (None, "dog"): 2}
    assert f"folders of the system or of a network drive passed over: {folder}" in listing.notes


def test_masks_are_left_out_with_a_warning(tmp_path: Path) -> None:
    for label in ("sick", "well"):
        for i in range(2):
            save_picture(tmp_path / label / f"{label} ({i}).png", i)
            save_picture(tmp_path / label / f"{label} ({i})_mask.png", i)
    listing = read(tmp_path)
    assert counts(listing) == {(None, "sick"): 2, (None, "well"): 2}
    assert Counter(problem.reason for problem in listing.problems) == {A_MASK: 4}
    assert listing.warnings[0].startswith("4 images left out, a mask of another image")


def test_two_readings_are_a_question_with_a_command_for_each(tmp_path: Path) -> None:
    for variant in ("augmented", "original"):
        class_folders(tmp_path / variant, 2)
    with pytest.raises(Question) as question:
        read(tmp_path)
    wanted = ["*/{class}", "augmented/{class}", "original/{class}", "{class}"]
    assert [answer.settings for answer in question.value.answers] == [{"paths": paths} for paths in wanted]
    assert [shlex.split(command) for command in question.value.commands] == [
        ["clipft", "prepare", str(tmp_path), "--paths", paths] for paths in wanted
    ]
    assert all(command in question.value.message for command in question.value.commands)
    assert counts(read(tmp_path, "original/{class}")) == {(None, "cat"): 2, (None, "dog"): 2}


def test_a_template_gives_splits_and_groups(tmp_path: Path) -> None:
    for place in ("fold_a/x/run/clip1_1.jpg", "fold_a/x/run/clip1_2.jpg", "fold_b/x/walk/clip2_1.jpg"):
        save_picture(tmp_path / place, 1)
    listing = read(tmp_path, r"fold_{:\w}/*/{class}/{group:clip\d+}_*.jpg")
    assert [(item.label, item.group) for item in listing.items] == [
        ("run", "clip1"),
        ("run", "clip1"),
        ("walk", "clip2"),
    ]


def test_files_that_do_not_fit_a_template_are_said(tmp_path: Path) -> None:
    class_folders(tmp_path, 2)
    save_picture(tmp_path / "cover.jpg", 9)
    listing = read(tmp_path, "{class}/*.jpg")
    assert listing.warnings == ["1 image left out, does not fit --paths: cover.jpg"]
    with pytest.raises(DataError, match=r"no image fits --paths \{class\}/x/"):
        read(tmp_path, "{class}/x/*.jpg")


def test_classes_in_file_names_are_offered_as_a_command(tmp_path: Path) -> None:
    for i in range(3):
        save_picture(tmp_path / f"cat.{i}.jpg", i)
        save_picture(tmp_path / f"great_dane.{i}.jpg", i + 9)
    with pytest.raises(Question) as question:
        read(tmp_path)
    [answer] = question.value.answers
    assert counts(read(tmp_path, answer.settings["paths"])) == {(None, "cat"): 3, (None, "great_dane"): 3}


def test_every_guess_is_read_alike_where_it_is_given(tmp_path: Path) -> None:
    class_folders(tmp_path / "a{b}*" / "train", 2, ("x", "y"))
    class_folders(tmp_path / "a{b}*" / "val" / "images", 2, ("x", "y"))
    guessed = read(tmp_path)
    assert guessed.items == read(tmp_path, guessed.read_as["paths"]).items
    assert len(guessed.items) == 8


def test_folders_0_1_and_2_inside_of_classes_may_be_splits(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        class_folders(tmp_path / label, 2, ("0", "1", "2"), start=100 * (label == "dog"))
    with pytest.raises(Question) as caught:
        read(tmp_path)
    assert caught.value.answers[0].words == "0 is train, 1 is val, 2 is test; classes are cat, dog"
    found = read(tmp_path, paths=str(caught.value.answers[0].settings["paths"]))
    assert counts(found) == {(split, label): 2 for split in ("train", "val", "test") for label in ("cat", "dog")}


def test_a_split_of_several_folders_is_said(tmp_path: Path) -> None:
    for place, n in (("train", 4), ("val", 2), ("holdout", 1), ("TEST", 2), ("Test", 1)):
        class_folders(tmp_path / place, n, start=1000 * n + len(place))
    assert read(tmp_path).warnings == [
        "test is made of 2 folders: TEST (4), Test (2); `--paths` says which of them count",
        "val is made of 2 folders: val (4), holdout (2); `--paths` says which of them count",
    ]


def test_one_folder_of_images_whose_names_begin_with_classes_is_asked_about(tmp_path: Path) -> None:
    for seed, label in enumerate(("Bengal", "great_pyrenees") * 6):
        save_picture(tmp_path / "images" / f"{label}_{seed}.png", seed)
    with pytest.raises(Question) as caught:
        read(tmp_path)
    assert caught.value.answers[0].words == "the names of files in images begin with classes"
    found = read(tmp_path, paths=str(caught.value.answers[0].settings["paths"]))
    assert counts(found) == {(None, "Bengal"): 6, (None, "great_pyrenees"): 6}


def test_split_folders_of_files_whose_names_end_with_classes_are_asked_about(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for seed, label in enumerate(("sea", "hill") * 6):
            save_picture(tmp_path / split / f"{seed}_{label}.png", seed)
    with pytest.raises(Question) as caught:
        read(tmp_path)
    assert caught.value.answers[0].words == "test, train are splits, file names end with classes"
    found = read(tmp_path, paths=str(caught.value.answers[0].settings["paths"]))
    assert counts(found) == {(split, label): 6 for split in ("train", "test") for label in ("sea", "hill")}


def test_a_step_of_one_folder_each_is_passed_on_the_way_to_classes_and_patients(tmp_path: Path) -> None:
    kinds = {"benign": ("adenosis", "fibroma"), "malignant": ("ductal", "lobular")}
    places = [
        f"{top}/all/{kind}/case_{n}/{zoom}X" for top in kinds for kind in kinds[top] for n in (1, 2) for zoom in (4, 8)
    ]
    for seed, place in enumerate(places):
        save_picture(tmp_path / place / f"{seed}.png", seed)
    with pytest.raises(Question) as caught:
        read(tmp_path)
    asked = {str(answer.settings["paths"]): answer.words for answer in caught.value.answers}
    assert list(asked) == ["{class}", "*/*/{class}", "{class}/*/*/{group}"]
    assert asked["{class}/*/*/{group}"].endswith("images of one of case_1, case_2 belong together")
    assert {label for _, label in counts(read(tmp_path, paths="*/*/{class}"))} == {
        *kinds["benign"],
        *kinds["malignant"],
    }


def test_outer_folders_may_be_classes_with_the_same_places_inside(tmp_path: Path) -> None:
    for seed, (label, place) in enumerate((a, b) for a in ("ill", "well") for b in ("Oslo", "Bergen", "Paris")):
        save_picture(tmp_path / label / place / "1.png", seed)
    with pytest.raises(Question) as caught:
        read(tmp_path)
    words = {str(answer.settings["paths"]): answer.words for answer in caught.value.answers}
    assert words["{class}/{group}"] == "classes are ill, well, and images of one of Bergen, Oslo, Paris belong together"


@pytest.mark.parametrize("name", ["imagelabels.mat", "labels.xlsx", "train.tfrecord", "0.json"])
def test_a_file_that_may_say_the_classes_and_is_not_read_is_named(tmp_path: Path, name: str) -> None:
    for seed in range(6):
        save_picture(tmp_path / "jpg" / f"{seed}.png", seed)
        if name.endswith(".json"):
            (tmp_path / "jpg" / f"{seed}.json").write_text("{}")
    if not name.endswith(".json"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=re.escape(name)) as caught:
        read(tmp_path)
    assert "labels.csv beside the images" in str(caught.value.hint)
