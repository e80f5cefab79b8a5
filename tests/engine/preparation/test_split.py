from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from small_pictures import picture

from clipft_cli.config.data import SplitName
from clipft_cli.engine.preparation.checks import Picture, look_at
from clipft_cli.engine.preparation.duplicates import near_duplicate_pairs, remove_duplicates
from clipft_cli.engine.preparation.split import assign_splits, targets
from clipft_cli.engine.sources.listing import Item

SHARES = (0.7, 0.15, 0.15)


def fake(n: int, label: str = "cat", split: SplitName | None = None, start: int = 0) -> list[Picture]:
    thumb = np.zeros((16, 16, 3), np.uint8)
    return [
        Picture(Item(Path(f"{label}{i}"), f"{label}{i}", label, split), f"{i:064x}", 1, 8, 8, 0, 0, thumb)
        for i in range(start, start + n)
    ]


@pytest.mark.parametrize(
    ("n", "expected"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (10, (7, 2, 1)), (100, (70, 15, 15)), (2, (2, 0, 0))]
)
def test_shares_become_counts_with_a_floor_of_one(n: int, expected: tuple[int, int, int]) -> None:
    assert tuple(targets(n, SHARES, n_units=n).values()) == expected


def test_the_split_depends_on_content_and_seed_not_on_order() -> None:
    pictures = fake(40)
    by_content = {p.sha256: s for p, s in zip(pictures, assign_splits(pictures, range(40), SHARES, 0), strict=True)}
    shuffled = random.Random(1).sample(pictures, 40)
    again = {p.sha256: s for p, s in zip(shuffled, assign_splits(shuffled, range(40), SHARES, 0), strict=True)}
    other = {p.sha256: s for p, s in zip(pictures, assign_splits(pictures, range(40), SHARES, 1), strict=True)}
    assert again == by_content
    assert other != by_content


def test_near_duplicates_share_a_split_and_the_counts_still_hold() -> None:
    pictures = fake(60)
    groups = [i // 3 for i in range(60)]
    splits = assign_splits(pictures, groups, SHARES, 0)
    assert all(len(set(splits[k : k + 3])) == 1 for k in range(0, 60, 3))
    assert Counter(splits) == {"train": 42, "val": 9, "test": 9}


def test_a_group_of_two_classes_stays_together() -> None:
    pictures = fake(10) + fake(10, "dog", start=100)
    groups = [*range(10), 0, *range(11, 20)]
    splits = assign_splits(pictures, groups, SHARES, 0)
    assert splits[0] == splits[10]


def test_a_missing_val_is_cut_from_train_and_test_is_untouched() -> None:
    pictures = fake(20, split="train") + fake(7, split="test", start=50)
    splits = assign_splits(pictures, range(27), SHARES, 0)
    assert Counter(splits[:20]) == {"train": 16, "val": 4}
    assert set(splits[20:]) == {"test"}


def test_given_splits_stay_and_new_images_fill_up() -> None:
    pictures = (
        fake(5, split="train") + fake(3, split="val", start=10) + fake(2, split="test", start=20) + fake(10, start=30)
    )
    splits = assign_splits(pictures, range(20), SHARES, 0)
    assert splits[:10] == ["train"] * 5 + ["val"] * 3 + ["test"] * 2
    assert Counter(splits) == {"train": 14, "val": 3, "test": 3}


def seen(
    tmp_path: Path, name: str, image: Image.Image, label: str = "cat", split: SplitName | None = None, **options: object
) -> Picture:
    image.save(tmp_path / name, **options)
    found = look_at(Item(tmp_path / name, name, label, split))
    assert isinstance(found, Picture)
    return found


def photo() -> Image.Image:
    y, x = np.mgrid[0:240, 0:320]
    base = np.stack([x * 0.7, y, 255 - x * 0.6], -1) + 40 * np.sin(x / 20 + y / 33)[..., None]
    return Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))


def test_a_picture_saved_again_made_smaller_or_brighter_is_found(tmp_path: Path) -> None:
    original = seen(tmp_path, "a.png", photo())
    variants = [
        seen(tmp_path, "b.jpg", photo(), quality=50),
        seen(tmp_path, "c.png", photo().resize((160, 120))),
        seen(tmp_path, "d.png", ImageEnhance.Brightness(photo()).enhance(0.9)),
    ]
    for variant in variants:
        assert list(near_duplicate_pairs([original, variant], 4)) == [(original, variant)]


def test_flat_pictures_of_different_colours_are_not_duplicates(tmp_path: Path) -> None:
    flat = [seen(tmp_path, f"{i}.png", Image.new("RGB", (32, 32), (i * 8, 100, 90))) for i in range(20)]
    assert list(near_duplicate_pairs(flat, 4)) == []


def test_different_pictures_are_not_duplicates(tmp_path: Path) -> None:
    different = [seen(tmp_path, f"{i}.png", picture(i, (64, 64))) for i in range(60)]
    assert list(near_duplicate_pairs(different, 4)) == []


def test_one_picture_under_two_labels_is_left_out_whole(tmp_path: Path) -> None:
    cat, dog = seen(tmp_path, "a.png", photo()), seen(tmp_path, "b.png", photo(), "dog")
    again = seen(tmp_path, "c.jpg", photo(), "fox", quality=92)
    found = remove_duplicates([cat, dog, again], 4)
    assert [p.item.name for p in found.kept] in ([], ["c.jpg"])
    assert {p.file for p in found.problems if p.reason == "same picture under two labels"} >= {"a.png", "b.png"}


def test_a_resaved_picture_under_two_labels_is_left_out(tmp_path: Path) -> None:
    found = remove_duplicates(
        [seen(tmp_path, "a.png", photo()), seen(tmp_path, "c.jpg", photo(), "fox", quality=92)], 4
    )
    assert found.kept == []


def test_across_given_splits_the_train_copy_goes(tmp_path: Path) -> None:
    train = seen(tmp_path, "train.png", photo(), split="train")
    near = seen(tmp_path, "near.jpg", photo(), split="train", quality=80)
    test = seen(tmp_path, "test.png", photo(), split="test")
    found = remove_duplicates([train, near, test], 4)
    assert [p.item.name for p in found.kept] == ["test.png"]
    assert {p.file: p.reason for p in found.problems} == {
        "train.png": "copy of an image in another split",
        "near.jpg": "near copy of an image in another split",
    }
