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
_ROUNDS = 10
_N_OTHERS = 200
_MUCH_WORK = 400_000
"""Groups times classes. Beyond it, dealing them out alone comes near enough, and exchanging them would take long."""


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
    for i, given in fixed.items():
        have[SPLITS.index(given), place[pictures[i].item.label]] += 1
    splits = _Division(counts, have, np.asarray(shares)).divided(np.flatnonzero(is_open))
    chosen = dict(fixed)
    for u, split in splits.items():
        chosen.update(dict.fromkeys(units[u].members, SPLITS[split]))
    return [chosen[i] for i in range(len(pictures))]


class _Division:
    """Groups and the splits they are in. `counts` (U, C) images of each class, `have` (3, C) what the splits hold."""

    def __init__(self, counts: np.ndarray, have: np.ndarray, shares: np.ndarray) -> None:
        self.counts, self.have = counts, have
        self.totals = np.maximum(counts.sum(axis=0), 1)  # (C,)
        self.wanted = shares[:, None] * self.totals  # (3, C)
        self.usable = np.flatnonzero(shares > 0).tolist()

    def divided(self, units: np.ndarray) -> dict[int, int]:
        """The split of each of `units`, in 0..2."""
        order = sorted(units.tolist(), key=lambda u: (-float(self.counts[u].std()), -float(self.counts[u].sum())))
        where: dict[int, int] = {}
        for u in order:
            added = [self._cost(s, self.have[s] + self.counts[u]) - self._cost(s, self.have[s]) for s in self.usable]
            where[u] = self.usable[int(np.argmin(added))]
            self.have[where[u]] += self.counts[u]
        if self.counts.size <= _MUCH_WORK:
            for _ in range(_ROUNDS):
                if not sum([self._improved(u, order, where) for u in order]):
                    break
        return where

    def _cost(self, split: int, have: np.ndarray) -> np.ndarray:
        """Cost of what one split holds, (..., C): squared misses of the class shares, and empty places."""
        missed = ((have - self.wanted[split]) / self.totals) ** 2
        is_empty = (have <= 0) & (self.wanted[split] > 0)
        return np.asarray((missed + _EMPTY * is_empty).sum(axis=-1))

    def _improved(self, u: int, order: list[int], where: dict[int, int]) -> bool:
        """Move one group to another split, or exchange it for one of there, where that costs least; was it done?"""
        source, own = where[u], self.counts[u]
        best, best_gain = None, 1e-12
        for split in self.usable:
            if split == source:
                continue
            others = [v for v in order if where[v] == split][:_N_OTHERS]
            back = np.concatenate([np.zeros((1, own.size)), self.counts[others]])  # (V + 1, C), the first: none back
            after = self._cost(source, self.have[source] - own + back) + self._cost(
                split, self.have[split] + own - back
            )
            gain = self._cost(source, self.have[source]) + self._cost(split, self.have[split]) - after
            k = int(gain.argmax())
            if gain[k] > best_gain:
                best, best_gain = (split, others[k - 1] if k else None), float(gain[k])
        if best is None:
            return False
        for v, target in ((u, best[0]), (best[1], source)):
            if v is not None:
                self.have[where[v]] -= self.counts[v]
                self.have[target] += self.counts[v]
                where[v] = target
        return True
