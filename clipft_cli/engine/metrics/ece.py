"""Expected calibration error: how far confidence and accuracy lie apart, in 15 bins of confidence.

Source: Guo et al. 2017, equation 3.
"""

from __future__ import annotations

from .answers import Answers
from .base import Metric
from .calibration import ece_interval, reliability
from .intervals import Interval


def _interval(answers: Answers, n_resamples: int, seed: int) -> Interval:
    return ece_interval(answers.confidence, answers.is_right, n_resamples=n_resamples, seed=seed)


METRIC = Metric(
    "ece",
    "ECE",
    value=lambda answers: reliability(answers.confidence, answers.is_right).ece,
    interval=_interval,
    is_higher_better=False,
    is_val_column=False,
    is_tested=False,
)
