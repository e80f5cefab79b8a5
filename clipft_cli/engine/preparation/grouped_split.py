"""Splits of images that come in groups: a patient, a clip, a product is in one split, and classes keep their shares.

With groups of several classes and sizes the shares can only be met approximately. The groups are dealt out one by one,
the most uneven first, each to the split where the shares come nearest; then single groups are moved or exchanged as
long as that helps. The first half is how scikit-learn's StratifiedGroupKFold deals groups to folds, which are of equal
size; here the sizes of the splits are given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...config.data import SplitName
from ..manifest import SPLITS
from .checks import Picture
from .split import Shares, fixed_splits, group_units, open_shares

_EMPTY = 0.25
"""What a class without an image in a split costs: more than any share that is missed by half."""
_ROUNDS = 50
_MANY_UNITS = 4000
"""With more groups than this, dealing them out alone meets the shares, and exchanging them would take long."""


def assign_grouped(pictures: Sequence[Picture], groups: Sequence[int], shares: Shares, seed: int) -> list[SplitName]:
    """The split of every picture, one for all of a group. Given splits stay; the rest is divided by `shares`."""
    units = group_units(pictures, groups, seed)
    kept, shares = open_shares(pictures, shares)
    fixed = fixed_splits(pictures, units, kept)
    labels = sorted({picture.item.label for picture in pictures})
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(units), len(labels)))
    for row, unit in zip(counts, units, strict=True):
        for i in unit.members:
            row[place[pictures[i].item.label]] += 1
    is_open = np.array([unit.members[0] not in fixed for unit in units])
    have = np.zeros((len(SPLITS), len(labels)))
    for u in np.flatnonzero(~is_open).tolist():
        have[SPLITS.index(fixed[units[u].members[0]])] += counts[u]
    splits = _Division(counts, have, np.asarray(shares)).divided(np.flatnonzero(is_open))
    chosen = dict(fixed)
    for u, split in splits.items():
        chosen.update(dict.fromkeys(units[u].members, SPLITS[split]))
    return [chosen[i] for i in range(len(pictures))]


class _Division:
    """Groups and the splits they are in. `counts` (U, C) images of each class, `have` (3, C) what the splits hold."""

    def __init__(self, counts: np.ndarray, have: np.ndarray, shares: np.ndarray) -> None:
        self.counts, self.have = counts, have
        self.totals = np.maximum(counts.sum(axis=0), 1)
        self.wanted = shares[:, None] * self.totals
        self.usable = np.flatnonzero(shares > 0)

    def divided(self, units: np.ndarray) -> dict[int, int]:
        """The split of each of `units`, in 0..2."""
        order = sorted(units.tolist(), key=lambda u: (-float(self.counts[u].std()), -float(self.counts[u].sum())))
        where: dict[int, int] = {}
        for u in order:
            where[u] = min(self.usable.tolist(), key=lambda s: (self._cost_with(u, s), s))
            self.have[where[u]] += self.counts[u]
        if len(order) <= _MANY_UNITS:
            self._exchange(order, where)
        return where

    def _cost(self, have: np.ndarray) -> np.ndarray:
        """Cost of (..., C) held by the splits (3, ..., C): squared misses of the shares, and empty places."""
        wanted = self.wanted.reshape(len(SPLITS), *([1] * (have.ndim - 2)), -1)
        missed = ((have - wanted) / self.totals) ** 2
        is_empty = (have == 0) & (wanted > 0)
        return np.asarray((missed + _EMPTY * is_empty).sum(axis=(0, -1)))

    def _cost_with(self, unit: int, split: int) -> float:
        have = self.have.copy()
        have[split] += self.counts[unit]
        return float(self._cost(have))

    def _exchange(self, order: list[int], where: dict[int, int]) -> None:
        """Move one group to another split, or exchange two, while the cost falls."""
        for _ in range(_ROUNDS):
            before = float(self._cost(self.have))
            for u in order:
                self._best_move(u, order, where)
            if float(self._cost(self.have)) > before - 1e-12:
                return

    def _best_move(self, u: int, order: list[int], where: dict[int, int]) -> None:
        own = self.counts[u]
        best, best_cost = None, float(self._cost(self.have)) - 1e-12
        for split in self.usable.tolist():
            if split == where[u]:
                continue
            moved = self.have.copy()
            moved[where[u]] -= own
            moved[split] += own
            others = np.array([v for v in order if where[v] == split][:200], np.int64)
            # (3, V + 1, C): u moved alone, and u in exchange for each of the others
            back = np.concatenate([np.zeros((1, own.size)), self.counts[others]])
            have = np.repeat(moved[:, None], len(back), axis=1)
            have[where[u]] += back
            have[split] -= back
            costs = self._cost(have)
            k = int(costs.argmin())
            if costs[k] < best_cost:
                best, best_cost = (split, int(others[k - 1]) if k else None), float(costs[k])
        if best is not None:
            self._move(u, best[0], where, best[1])

    def _move(self, u: int, split: int, where: dict[int, int], other: int | None) -> None:
        source = where[u]
        for v, target in ((u, split), (other, source)):
            if v is not None:
                self.have[where[v]] -= self.counts[v]
                self.have[target] += self.counts[v]
                where[v] = target
