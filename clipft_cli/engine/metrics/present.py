"""Accuracy among the classes that a split has images of: what a model could do that knew which these are."""

from __future__ import annotations

import numpy as np

from .intervals import Interval, wilson
from .scores import Scores, ranked


def top1_among_present(scores: Scores) -> Interval | None:
    """Top-1 with Wilson's interval where only classes that occur may be the answer; None where all of them do."""
    present, labels = np.unique(scores.labels, return_inverse=True)
    if len(present) == scores.logits.shape[1]:
        return None
    predicted = ranked(scores.logits[:, present], 1)[:, 0]
    return wilson(int((predicted == labels).sum()), len(labels))
