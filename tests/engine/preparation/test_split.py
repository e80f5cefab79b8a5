from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from clipft_cli.config.data import SplitName
from clipft_cli.engine.preparation.checks import Picture
from clipft_cli.engine.preparation.split import assign_splits, targets
from clipft_cli.engine.sources.listing import Item

SHARES = (0.7, 0.15, 0.15)


def fake(n: int, label: str = "cat", split: SplitName | None = None, start: int = 0) -> list[Picture]:
    thumb, frequencies = np.zeros((16, 16, 3), np.uint8), np.zeros((8, 8), np.float32)
    return [
        Picture(Item(Path(f"{label}{i}"), f"{label}{i}", label, split), f"{i:064x}", 1, 8, 8, 0, 0, thumb, frequencies)
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
