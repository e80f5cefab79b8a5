"""Sets of classes that hold the right one with a stated chance: split conformal prediction, fitted on val.

Source: Romano et al. 2020 and Angelopoulos et al. 2021 (RAPS): a class scores the probability of all that are likelier,
and a little for its rank. What the class itself has is left out, so that no set is empty and nothing is drawn.
Vovk et al. 2005 for groups of classes that each get a threshold of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError
from ..files.amounts import count

RANK_PENALTY = 0.01
FREE_RANKS = 5
"""Each rank after these adds the penalty, as in Angelopoulos et al. 2021: long tails of tiny probabilities stay out."""

_BEYOND = 5
"""Images of val that a class needs beyond its threshold for one of its own: with fewer it would jump about."""


@dataclass(frozen=True)
class ConformalSets:
    """A class is in the set of an image where its score is at most `thresholds` (C,).

    `own` (C,) bool are the classes with a threshold of their own; `n_images` of val were used.
    """

    thresholds: np.ndarray
    own: np.ndarray
    coverage: float
    n_images: int

    @property
    def where(self) -> str:
        """Within which classes the chance holds, in words."""
        own = int(self.own.sum())
        if own == len(self.own):
            return "within each class"
        if own == 0:
            return "over all classes together"
        return f"within each of {count(own, 'class', 'classes')} with images enough, and over the others together"

    def sets(self, probabilities: np.ndarray) -> list[np.ndarray]:
        """For each row of probabilities (B, C) the classes in its set, the likeliest first; never none."""
        scores = raps_scores(probabilities)
        is_in = scores <= self.thresholds
        first = probabilities.argmax(axis=1)
        is_in[np.arange(len(first)), first] = True
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [row[inside[row]] for row, inside in zip(order, is_in, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """The rule: coverage, images that it was fitted on, classes with a threshold of their own."""
        return {"coverage": self.coverage, "n_val_images": self.n_images, "n_class_wise": int(self.own.sum())}


def raps_scores(probabilities: np.ndarray) -> np.ndarray:
    """(B, C) of probabilities (B, C): that of all likelier classes, and the penalty of the rank."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    above = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    above = np.hstack([np.zeros((len(above), 1)), above[:, :-1]])
    above += RANK_PENALTY * np.maximum(0, np.arange(1, above.shape[1] + 1) - FREE_RANKS)
    scores = np.empty_like(above)
    np.put_along_axis(scores, order, above, axis=1)
    return scores


def fit_sets(probabilities: np.ndarray, labels: np.ndarray, coverage: float) -> ConformalSets:
    """Of probabilities (N, C) of val with labels (N,): the set of a new image holds its class with chance `coverage`.

    Classes with images enough get a threshold of their own, so that the chance holds within each of them; the others
    share one. Raises DataError where N images are too few for a coverage this high.
    """
    n, n_classes = probabilities.shape
    needed = math.ceil(coverage / (1 - coverage) - 1e-9)
    if n < needed:
        most = math.floor(100 * n / (n + 1)) / 100
        way_out = f"`--coverage {most:g}` is the highest that they allow, or " if most >= 0.5 else ""
        raise DataError(
            f"--coverage: val has {count(n, 'image')}, and to hold the right class with a chance of {coverage:.4g}"
            f" takes {needed} or more",
            hint=f"{way_out}prepare the data with a larger share for val",
        )
    scores = raps_scores(probabilities)[np.arange(n), labels]
    own = _with_enough(np.bincount(labels, minlength=n_classes), coverage)
    thresholds = np.empty(n_classes)
    for number in np.flatnonzero(own):
        thresholds[number] = _threshold(scores[labels == number], coverage)
    if not own.all():
        thresholds[~own] = _threshold(scores[~own[labels]], coverage)
    return ConformalSets(thresholds, own, coverage, n)


def _with_enough(counts: np.ndarray, coverage: float) -> np.ndarray:
    """(C,) bool: the classes that get a threshold of their own, chosen by counts (C,) alone, never by scores.

    Where the others together would be too few, the smallest of those with enough join them.
    """
    enough = _BEYOND / (1 - coverage)
    own = counts >= enough - 1e-9
    for number in np.argsort(counts, kind="stable"):
        if own.all() or counts[~own].sum() >= enough - 1e-9:
            break
        own[number] = False
    return own


def _threshold(scores: np.ndarray, coverage: float) -> float:
    """The score at the rank that a new one stays below with chance `coverage`."""
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return float(np.sort(scores)[rank - 1])
