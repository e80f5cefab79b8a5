from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from seen_pictures import part, photo, seen
from small_pictures import picture

from clipft_cli.engine.preparation import scenes
from clipft_cli.engine.preparation.checks import Picture
from clipft_cli.engine.preparation.duplicates import connected, remove_duplicates


def parts(tmp_path: Path, n: int = 8) -> list[Picture]:
    good = [seen(tmp_path, f"g{i}.png", part(i), "good") for i in range(n)]
    return good + [seen(tmp_path, f"s{i}.png", part(100 + i, is_scratched=True), "scratch") for i in range(n)]


def test_the_same_bytes_under_two_labels_are_left_out_whole(tmp_path: Path) -> None:
    pictures = [seen(tmp_path, "a.png", photo()), seen(tmp_path, "b.png", photo(), "dog")]
    found = remove_duplicates(pictures, 4)
    assert found.kept == []
    assert {p.file for p in found.problems if p.reason == "same picture under two labels"} == {"a.png", "b.png"}


def test_a_resaved_picture_under_two_labels_is_a_question(tmp_path: Path) -> None:
    pictures = [seen(tmp_path, "a.png", photo()), seen(tmp_path, "c.jpg", photo(), "fox", quality=92)]
    found = remove_duplicates(pictures, 4)
    assert found.kept == pictures
    assert [(p.file, p.action) for p in found.problems] == [("a.png", "kept")]
    assert "is one label wrong?" in found.warnings[0]
    assert found.groups[0] == found.groups[1]


def test_across_given_splits_the_train_copy_goes_and_it_is_said(tmp_path: Path) -> None:
    train = seen(tmp_path, "train.png", photo(), split="train")
    near = seen(tmp_path, "near.jpg", photo(), split="train", quality=80)
    mirrored = seen(tmp_path, "m.jpg", photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT), split="train")
    test = seen(tmp_path, "test.png", photo(), split="test")
    found = remove_duplicates([train, near, mirrored, test], 4)
    assert [p.item.name for p in found.kept] == ["test.png"]
    assert {p.file: p.reason for p in found.problems} == {
        "train.png": "copy of an image in another split",
        "near.jpg": "near copy of an image in another split",
        "m.jpg": "near copy of an image in another split",
    }
    assert "2 images are left out as near copies" in found.warnings[0]


def test_a_mirrored_picture_with_another_label_is_another_example(tmp_path: Path) -> None:
    left = seen(tmp_path, "left.png", photo(), "left", "train")
    right = seen(tmp_path, "right.png", photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT), "right", "test")
    found = remove_duplicates([left, right], 4)
    assert (found.kept, found.problems, found.warnings) == ([left, right], [], [])


def test_parts_under_a_fixed_camera_are_left_alone_with_a_word(tmp_path: Path) -> None:
    pictures = parts(tmp_path)
    found = remove_duplicates(pictures, 4)
    assert found.kept == pictures
    assert len(set(found.groups)) == 16
    (said,) = found.warnings
    assert "images look alike, as under a fixed camera (good, scratch;" in said


def test_a_scene_in_given_splits_loses_no_image(tmp_path: Path) -> None:
    train = [seen(tmp_path, f"g{i}.png", part(i), "good", "train") for i in range(6)]
    test = [seen(tmp_path, f"s{i}.png", part(100 + i, is_scratched=True), "scratch", "test") for i in range(6)]
    assert remove_duplicates([*train, *test], 4).kept == [*train, *test]


def test_copies_of_one_picture_beside_others_are_no_scene(tmp_path: Path) -> None:
    copies = [seen(tmp_path, f"c{i}.jpg", photo(), quality=40 + 9 * i) for i in range(5)]
    others = [seen(tmp_path, f"o{i}.png", picture(i, (64, 64))) for i in range(4)]
    found = remove_duplicates([*copies, *others], 4)
    assert found.groups == [0, 0, 0, 0, 0, 5, 6, 7, 8]
    assert found.warnings == []


def test_the_search_for_near_duplicates_can_be_switched_off(tmp_path: Path) -> None:
    pictures = [seen(tmp_path, f"{i}.jpg", photo(), quality=50 + i, split=s) for i, s in enumerate(("train", "test"))]
    found = remove_duplicates(pictures, None)
    assert (found.kept, found.groups, found.problems) == (pictures, [0, 1], [])


def test_a_crowd_is_known_from_a_sample(tmp_path: Path, monkeypatch) -> None:
    pictures = parts(tmp_path) + [seen(tmp_path, f"o{i}.png", picture(i, (64, 64)), "other") for i in range(16)]
    assert scenes.crowded_labels(pictures, 4) == set()
    monkeypatch.setattr(scenes, "_SAMPLE", 20)
    monkeypatch.setattr(scenes, "_CROWD", 4)
    assert scenes.crowded_labels(pictures, 4) == {"good", "scratch"}


@pytest.mark.parametrize(
    ("n", "pairs", "numbers"),
    [
        (0, [], []),
        (3, [], [0, 1, 2]),
        (6, [(4, 2), (1, 4), (5, 0)], [0, 1, 1, 3, 1, 0]),
        (3, [(2, 1), (1, 2), (2, 2)], [0, 1, 1]),
    ],
)
def test_a_connected_group_has_the_number_of_its_first(n, pairs, numbers):
    assert connected(n, pairs) == numbers
