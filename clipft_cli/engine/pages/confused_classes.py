"""The part of a confusion matrix that is worth a table: the classes that are confused, those alike side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

MAX_CLASSES = 24


@dataclass(frozen=True)
class Block:
    """`classes`: numbers, in the order of rows and columns; `n_left_out`: mistakes that are not in the block."""

    classes: list[int]
    n_left_out: int


def confused_block(confusion: np.ndarray) -> Block:
    """Of (C, C) counts: all classes where they are few, else those with most mistakes, from and to."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    of_class = wrong.sum(axis=0) + wrong.sum(axis=1)
    n = len(confusion)
    chosen = np.arange(n) if n <= MAX_CLASSES else np.flatnonzero(of_class)
    chosen = np.sort(chosen[np.argsort(-of_class[chosen], kind="stable")][:MAX_CLASSES])
    inside = wrong[np.ix_(chosen, chosen)]
    return Block(chosen[_alike_together(inside)].tolist(), int(wrong.sum() - inside.sum()))


def _alike_together(wrong: np.ndarray) -> np.ndarray:
    """An order (n,) in which classes that are confused stand beside each other (average linkage)."""
    if len(wrong) < 3:
        return np.arange(len(wrong))
    together = (wrong + wrong.T).astype(np.float64)
    distance = 1 / (1 + together)
    np.fill_diagonal(distance, 0)
    return np.asarray(leaves_list(linkage(squareform(distance), "average", optimal_ordering=len(wrong) <= MAX_CLASSES)))
