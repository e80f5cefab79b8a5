"""Mean confidence: what a model takes its accuracy to be; above top-1 it is too sure of itself."""

from __future__ import annotations

from .answers import Answers
from .base import Metric
from .intervals import Interval, mean_interval, within_unit


def _interval(answers: Answers, n_resamples: int, seed: int) -> Interval:
    return within_unit(mean_interval(answers.confidence))


METRIC = Metric(
    "mean_confidence",
    "mean confidence",
    value=lambda answers: float(answers.confidence.mean()),
    interval=_interval,
    is_val_column=False,
    is_headline=False,
    is_tested=False,
)
