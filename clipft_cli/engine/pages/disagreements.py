"""The images on which methods disagree: which to show, small enough to travel inside a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..comparison.comparison import Row
from ..files.visible import visible
from .thumbnails import thumbnail

MAX_SHOWN = 12


@dataclass(frozen=True)
class Answered:
    """What one row says of an image."""

    row: int
    label: str
    name: str
    probability: float
    is_right: bool


@dataclass(frozen=True)
class Disagreement:
    """One image: `data_uri` a small JPEG, empty where it cannot be read any more."""

    path: str
    true: str
    data_uri: str
    answers: tuple[Answered, ...]


def disagreements(
    rows: Sequence[Row], order: Sequence[Row], labels: np.ndarray, names: Sequence[str], paths: Sequence[str]
) -> tuple[list[Disagreement], int]:
    """At most 12 images that some rows have right and others wrong, and how many there are.

    First those on which the best two (`order`) differ, those with most probability at stake before others.
    """
    hits = np.stack([row.answers == labels for row in rows])  # (R, N)
    differ = np.flatnonzero(hits.any(axis=0) & ~hits.all(axis=0)).tolist()
    first, second = order[0], order[1]
    is_top = (first.answers == labels) != (second.answers == labels)
    stake = np.max([row.confidence for row in rows], axis=0)
    ranked = sorted(differ, key=lambda n: (not is_top[n], -stake[n], n))
    chosen = _spread(ranked, labels)
    found = [
        Disagreement(
            visible(Path(paths[n]).name),
            visible(names[labels[n]]),
            thumbnail(Path(paths[n])),
            tuple(
                Answered(
                    i, visible(row.label), visible(names[row.answers[n]]), float(row.confidence[n]), bool(hits[i, n])
                )
                for i, row in enumerate(rows)
            ),
        )
        for n in chosen
    ]
    return found, len(differ)


def _spread(ranked: Sequence[int], labels: np.ndarray) -> list[int]:
    """The first 12, but no class takes more than two places before every class has had its turn."""
    taken: list[int] = []
    for most in (2, MAX_SHOWN):
        for n in ranked:
            same = sum(labels[other] == labels[n] for other in taken)
            if n not in taken and same < most and len(taken) < MAX_SHOWN:
                taken.append(n)
    return taken
