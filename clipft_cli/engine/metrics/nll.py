"""Negative log likelihood of the probabilities a model ships with: its logits divided by its temperature."""

from __future__ import annotations

import numpy as np

from .answers import Answers
from .base import Metric
from .intervals import Interval, mean_interval


def _per_image(answers: Answers) -> np.ndarray:
    return np.asarray(-answers.log_probabilities[np.arange(len(answers.labels)), answers.labels])


def _interval(answers: Answers, n_resamples: int, seed: int) -> Interval:
    return mean_interval(_per_image(answers))


METRIC = Metric(
    "nll",
    "NLL",
    value=lambda answers: float(_per_image(answers).mean()),
    unit="nats",
    interval=_interval,
    is_higher_better=False,
    is_val_column=False,
    is_headline=False,
    is_tested=False,
)
