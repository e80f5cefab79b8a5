"""Top-5 accuracy: the share of images whose class is among the first min(5, C)."""

from __future__ import annotations

from .answers import Answers
from .base import Metric
from .intervals import Interval, wilson

TOP = 5


def _interval(answers: Answers, n_resamples: int, seed: int) -> Interval:
    return wilson(int(answers.is_within(TOP).sum()), len(answers.labels))


METRIC = Metric(
    "top5",
    "top-5 accuracy",
    value=lambda answers: float(answers.is_within(TOP).mean()),
    heading="top-5",
    interval=_interval,
    is_tested=False,
    min_classes=TOP + 1,
)
