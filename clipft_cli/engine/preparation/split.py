"""Which image goes into train, val or test: by class, by seed, and never one picture into two of them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ...config.data import SplitName
from ..manifest import SPLITS
from .checks import Picture

Shares = tuple[float, float, float]
TEST_ONLY: Shares = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Unit:
    """Pictures that must stay together: one, or all of a near-duplicate group. `members` index the pictures."""

    members: tuple[int, ...]
    rank: str


def is_test_only(shares: Shares) -> bool:
    """Whether the set is for measuring only: nothing is trained or chosen on it."""
    return tuple(shares) == TEST_ONLY


def without_test(shares: Shares) -> Shares:
    """Shares of train and val in the same proportion, where test has its images already."""
    train, val, _ = shares
    return (train / (train + val), val / (train + val), 0.0) if train + val else shares


def rank_of(seed: int, sha256: str) -> str:
    """A number that looks random, from the seed and the content alone: neither names nor order matter."""
    return hashlib.sha256(f"{seed} {sha256}".encode()).hexdigest()


def group_units(pictures: Sequence[Picture], groups: Sequence[int], seed: int) -> list[Unit]:
    """One unit a near-duplicate group, in the order of their ranks."""
    members = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    units = [Unit(tuple(found), min(rank_of(seed, pictures[i].sha256) for i in found)) for found in members.values()]
    return sorted(units, key=lambda unit: unit.rank)


def open_shares(pictures: Sequence[Picture], shares: Shares) -> tuple[dict[SplitName, SplitName | None], Shares]:
    """What becomes of each given split, None where it is decided anew, and the shares for what is open.

    Where test is given but val has no image, val is cut from train in proportion, and test is left alone.
    """
    given = {picture.item.split for picture in pictures} - {None}
    kept: dict[SplitName, SplitName | None] = {split: split for split in SPLITS}
    if "val" in given or "test" not in given:
        return kept, shares
    return {**kept, "train": None}, without_test(shares)


def fixed_splits(
    pictures: Sequence[Picture], units: Sequence[Unit], kept: dict[SplitName, SplitName | None]
) -> dict[int, SplitName]:
    """The splits that are given, by the position of the picture, and for the open ones of a unit that of most others.

    No given split is changed, even where a unit has several.
    """
    fixed: dict[int, SplitName] = {}
    for unit in units:
        given = [(i, split) for i in unit.members if (split := pictures[i].item.split) is not None]
        own = {i: now for i, split in given if (now := kept[split]) is not None}
        if own:
            counts = Counter(own.values())
            most = max(SPLITS, key=lambda split: counts[split])
            fixed.update({i: own.get(i, most) for i in unit.members})
    return fixed


def assign_splits(pictures: Sequence[Picture], groups: Sequence[int], shares: Shares, seed: int) -> list[SplitName]:
    """The split of every picture. Given splits stay; the rest is divided by `shares`, class by class."""
    if is_test_only(shares):
        return ["test"] * len(pictures)
    units = group_units(pictures, groups, seed)
    kept, shares = open_shares(pictures, shares)
    chosen = fixed_splits(pictures, units, kept)
    by_label: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        for label in {pictures[i].item.label for i in unit.members}:
            by_label[label].append(unit)
    for label in sorted(by_label):
        _assign_class(pictures, by_label[label], shares, chosen)
    return [chosen[i] for i in range(len(pictures))]


def _assign_class(
    pictures: Sequence[Picture],
    own: Sequence[Unit],
    shares: Shares,
    chosen: dict[int, SplitName],
) -> None:
    """Choose the splits of those units of one class (`own`) that are still open; fills `chosen`."""
    mixed = [unit for unit in own if len({pictures[i].item.label for i in unit.members}) > 1]
    for unit in mixed:
        for i in unit.members:
            chosen.setdefault(i, "train")
    open_units = [unit for unit in own if unit.members[0] not in chosen]
    counts = Counter(chosen[i] for unit in own for i in unit.members if i in chosen)
    without_share = {split for split, share in zip(SPLITS, shares, strict=True) if share == 0}
    total = sum(len(unit.members) for unit in own if chosen.get(unit.members[0]) not in without_share)
    wanted = targets(total, shares, n_units=len(own))
    for split in ("test", "val"):
        keep_back = 0 if counts["train"] else 1
        for unit in _fill(open_units, wanted[split] - counts[split], keep_back):
            open_units.remove(unit)
            chosen.update(dict.fromkeys(unit.members, split))
    for unit in open_units:
        chosen.update(dict.fromkeys(unit.members, "train"))


def _fill(units: Sequence[Unit], wanted: int, keep_back: int) -> list[Unit]:
    """Units, in rank order, that together hold `wanted` pictures, and at least one where any is wanted."""
    taken: list[Unit] = []
    available = len(units) - keep_back
    for unit in units:
        if wanted <= 0 or len(taken) >= available:
            break
        if len(unit.members) <= wanted:
            taken.append(unit)
            wanted -= len(unit.members)
    if not taken and wanted > 0 and available > 0:
        taken.append(min(units, key=lambda unit: (len(unit.members), unit.rank)))
    return taken


def targets(n: int, shares: Shares, n_units: int | None = None) -> dict[SplitName, int]:
    """How many of n pictures of a class each split gets: largest remainders, and one at least for each share."""
    exact = [n * share for share in shares]
    counts = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(3), key=lambda k: (counts[k] - exact[k], k))
    for k in by_remainder[: n - sum(counts)]:
        counts[k] += 1
    for k in (1, 2):
        if shares[k] > 0 and counts[k] == 0 and counts[0] > 1 and (n_units is None or n_units >= needed(shares)):
            counts[k] += 1
            counts[0] -= 1
    return dict(zip(SPLITS, counts, strict=True))


def needed(shares: Shares) -> int:
    """Fewest distinct pictures a class needs, so that each split with a share gets one."""
    return sum(share > 0 for share in shares)
