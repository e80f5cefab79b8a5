"""Macro-F1: the mean over classes of the harmonic mean of precision and recall."""

from __future__ import annotations

from operator import attrgetter

from .base import Metric
from .per_class import macro_mean, macro_means

_f1 = attrgetter("f1")

METRIC = Metric(
    "macro_f1",
    "macro-F1",
    value=lambda answers: macro_mean(_f1, answers),
    resampled=lambda answers, indexes: macro_means(_f1, answers, indexes),
)
