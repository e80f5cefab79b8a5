"""The contract of a metric: what it is called, how it is computed, shown and bounded, and where it appears."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...config.metrics import MetricName
from .answers import Answers
from .intervals import N_RESAMPLES, Interval, logit_interval, percentile_interval, resample_images, wilson

Unit = Literal["share", "signed", "number", "nats"]
_BOUNDS: dict[Unit, tuple[float, float]] = {"share": (0.0, 1.0), "signed": (-1.0, 1.0)}


@dataclass(frozen=True)
class Metric:
    """One figure of a split.

    `value(answers)` is all it must have; `title` names it in a report, `heading` over a column. A `unit` "share" is
    in 0..1 and "signed" in -1..1 (a kappa, a correlation), both shown in percent; "nats" and "number" are shown as they
    are. `is_higher_better` says which way `training.select_by` goes.

    Where it appears: `is_val_column`: measured after every epoch, in metrics.jsonl, TensorBoard and the table on the
    screen; what `config.metrics.SelectionMetric` names must be. `is_reported`: in what `clipft evaluate` writes.
    `is_headline`: on its screen, and a column of `clipft compare`. `is_tested`: compare gives its difference for every
    two rows. `min_classes`: with fewer it says nothing, and tables leave it out.

    Its interval: `interval(answers, n_resamples, seed)` where it has its own, else a bootstrap over the images, within
    each class. `resampled(answers, indexes)` gives the values (r,) of resamples (r, N), faster than `value` on each.
    """

    name: MetricName
    title: str
    value: Callable[[Answers], float]
    heading: str = ""
    unit: Unit = "share"
    is_higher_better: bool = True
    is_val_column: bool = True
    is_reported: bool = True
    is_headline: bool = True
    is_tested: bool = True
    min_classes: int = 1
    interval: Callable[[Answers, int, int], Interval] | None = None
    resampled: Callable[[Answers, np.ndarray], np.ndarray] | None = None

    @property
    def column(self) -> str:
        """What stands over its column."""
        return self.heading or self.title

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that there can be."""
        return _BOUNDS.get(self.unit, (-math.inf, math.inf))

    def gain(self, value: float) -> float:
        """`value`, turned so that larger is better."""
        return value if self.is_higher_better else -value

    def text(self, value: float) -> str:
        """`81.3%`, or `0.4321` where it is no share."""
        return f"{100 * value:.1f}%" if self.unit in _BOUNDS else f"{value:.4f}"

    def text_of(self, figure: Interval) -> str:
        """`81.3%  (95% interval 74.3% to 86.7%)`."""
        return f"{self.text(figure.value)}  (95% interval {self.text(figure.low)} to {self.text(figure.high)})"

    def values_of(self, answers: Answers, indexes: np.ndarray) -> np.ndarray:
        """Values (r,) on resamples of the images, given as indexes (r, N)."""
        if self.resampled is not None:
            return self.resampled(answers, indexes)
        return np.array([self.value(answers.taken(row)) for row in indexes])

    def measured(self, answers: Answers, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """The value with its 95% interval.

        Where no resample differs from another (every image is right, say) they know nothing of the uncertainty: then
        a share has the reach of Wilson's interval around the accuracy.
        """
        if self.interval is not None:
            return self.interval(answers, n_resamples, seed)
        value, n = self.value(answers), len(answers.labels)
        resampled = resample_images(
            n,
            lambda indexes: self.values_of(answers, indexes),
            strata=answers.labels,
            n_resamples=n_resamples,
            seed=seed,
        )
        if self.unit not in _BOUNDS:
            return percentile_interval(value, resampled)
        low, high = self.bounds
        if np.ptp(resampled) > 0:
            return logit_interval(value, resampled, n, strata=answers.labels, bounds=self.bounds)
        share = wilson(int(answers.is_right.sum()), n)
        reach = Interval(value, value - (share.value - share.low), value + (share.high - share.value))
        return Interval(value, max(low, reach.low), min(high, reach.high))
