"""Macro precision: the mean over classes of the share of a class's predictions that are right."""

from __future__ import annotations

from operator import attrgetter

from .base import Metric
from .per_class import macro_mean, macro_means

_precision = attrgetter("precision")

METRIC = Metric(
    "macro_precision",
    "macro precision",
    value=lambda answers: macro_mean(_precision, answers),
    resampled=lambda answers, indexes: macro_means(_precision, answers, indexes),
    is_val_column=False,
    is_headline=False,
    is_tested=False,
)
