"""Balanced accuracy: the mean over classes of the share that is right (macro recall), each class counting the same.

Source: Brodersen et al. 2010.
"""

from __future__ import annotations

from operator import attrgetter

from .base import Metric
from .per_class import macro_mean, macro_means

_recall = attrgetter("recall")

METRIC = Metric(
    "balanced_accuracy",
    "balanced accuracy",
    value=lambda answers: macro_mean(_recall, answers),
    heading="balanced",
    resampled=lambda answers, indexes: macro_means(_recall, answers, indexes),
)
