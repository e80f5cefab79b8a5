"""Fewer training images, every class kept: a stratified share, or k of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..manifest import Row


def draw_subset(rows: Sequence[Row], *, fraction: float, few_shot: int | None, seed: int) -> tuple[Row, ...]:
    """`fraction` of each class (at least one image), then at most `few_shot` of it; in manifest order."""
    if fraction == 1.0 and few_shot is None:
        return tuple(rows)
    labels = np.array([row.label for row in rows])
    kept: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n = max(1, math.floor(fraction * len(members) + 0.5))
        n = min(n, few_shot) if few_shot is not None else n
        rng = np.random.default_rng((seed, 0xF5, int(label)))
        kept += rng.permutation(members)[:n].tolist()
    return tuple(rows[i] for i in sorted(kept))
