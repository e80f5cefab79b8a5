"""Top-1 accuracy: the share of images whose class comes first."""

from __future__ import annotations

from .answers import Answers
from .base import Metric
from .intervals import Interval, wilson


def _interval(answers: Answers, n_resamples: int, seed: int) -> Interval:
    return wilson(int(answers.is_right.sum()), len(answers.labels))


METRIC = Metric(
    "top1",
    "top-1 accuracy",
    value=lambda answers: float(answers.is_right.mean()),
    heading="top-1",
    interval=_interval,
)
