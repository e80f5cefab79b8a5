from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from test_split import SHARES, fake

from clipft_cli.engine.preparation.checks import Picture
from clipft_cli.engine.preparation.grouped_split import assign_grouped
from clipft_cli.engine.preparation.groups import join_groups

SPLITS = ("train", "val", "test")


def of(group: str | None, pictures: list[Picture]) -> list[Picture]:
    return [replace(picture, item=replace(picture.item, group=group)) for picture in pictures]


def patients(n: int, per_patient: int, labels: tuple[str, ...], seed: int) -> list[Picture]:
    """`n` patients of about `per_patient` images, each mostly of one class."""
    rng = np.random.default_rng(seed)
    found: list[Picture] = []
    for k in range(n):
        main = rng.integers(len(labels))
        for _ in range(1 + rng.poisson(per_patient - 1)):
            label = labels[main if rng.random() < 0.8 else rng.integers(len(labels))]
            found += of(f"p{k}", fake(1, label, start=len(found)))
    return found


def divided(pictures: list[Picture], shares: tuple[float, float, float] = SHARES) -> list[str]:
    return list(assign_grouped(pictures, join_groups(pictures, range(len(pictures)), [], []), shares, 0))


def n_splits_of_groups(pictures: list[Picture], splits: list[str]) -> set[int]:
    found: dict[str | None, set[str]] = {}
    for picture, split in zip(pictures, splits, strict=True):
        found.setdefault(picture.item.group, set()).add(split)
    return {len(some) for some in found.values()}


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_mixed_classes_stay_whole_and_class_shares_are_within_two_points(seed: int) -> None:
    pictures = patients(120, 6, ("cat", "dog", "fox"), seed)
    splits = divided(pictures)
    assert n_splits_of_groups(pictures, splits) == {1}
    counts = Counter((p.item.label, split) for p, split in zip(pictures, splits, strict=True))
    for label in ("cat", "dog", "fox"):
        total = sum(counts[label, split] for split in SPLITS)
        for split, share in zip(SPLITS, SHARES, strict=True):
            assert abs(counts[label, split] / total - share) < 0.02


def test_uneven_groups_leave_no_split_without_a_class() -> None:
    sizes = {"a": (40, 3, 2, 1), "b": (30, 5, 4)}
    pictures = [
        p
        for label, ns in sizes.items()
        for k, n in enumerate(ns)
        for p in of(f"{label}{k}", fake(n, label, start=100 * k))
    ]
    counts = Counter((p.item.label, split) for p, split in zip(pictures, divided(pictures), strict=True))
    assert all(counts[label, split] for label in "ab" for split in SPLITS)


def test_a_share_of_zero_gets_no_group() -> None:
    assert set(divided(patients(20, 3, ("cat", "dog"), 0), (0.8, 0.2, 0.0))) == {"train", "val"}


def test_images_without_a_group_make_up_the_shares() -> None:
    splits = divided(of("p", fake(10)) + fake(30, start=50))
    assert len(set(splits[:10])) == 1
    assert Counter(splits) == {"train": 28, "val": 6, "test": 6}


def test_a_new_image_goes_where_its_group_is() -> None:
    known = [replace(p, item=replace(p.item, split="test")) for p in of("p1", fake(3))]
    splits = divided(known + of("p1", fake(2, start=10)) + patients(10, 3, ("cat", "dog"), 0))
    assert splits[:5] == ["test"] * 5


def test_near_copies_join_two_groups_but_do_not_make_one_of_all() -> None:
    pictures = [p for k in range(40) for p in of(f"p{k}", fake(2, start=10 * k))]
    near = list(range(80))
    near[2] = near[0]  # a picture of p1 is like one of p0
    warnings: list[str] = []
    joined = join_groups(pictures, near, [], warnings)
    assert joined[0] == joined[3]
    assert not warnings
    assert len(set(join_groups(pictures, [0] * 80, [], warnings))) == 40
    assert "images of 40 groups look alike (p0, p1, p10, ...)" in warnings[0]


def test_three_thousand_groups_of_two_hundred_classes_take_a_second() -> None:
    pictures = patients(3000, 3, tuple(f"c{k}" for k in range(200)), 0)
    assert n_splits_of_groups(pictures, divided(pictures)) == {1}
