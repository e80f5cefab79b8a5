"""Intervals around one measurement: Wilson's for shares, seeded bootstraps for what has no formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit, logit

LEVEL = 0.95
N_RESAMPLES = 1000
_BLOCK_VALUES = 4_000_000
"""Numbers drawn at a time: bounds the memory of a bootstrap, whatever the number of images."""


@dataclass(frozen=True)
class Interval:
    """A measured value and the interval around it, all in the unit of the value."""

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """Half the width."""
        return (self.high - self.low) / 2


def wilson(n_hits: int, n: int, level: float = LEVEL) -> Interval:
    """Share of hits with Wilson's score interval; (nan, 0, 1) where n is 0.

    Source: Wilson 1927; computed by scipy.
    """
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    low, high = stats.binomtest(n_hits, n).proportion_ci(level, method="wilson")
    return Interval(n_hits / n, float(low), float(high))


def mean_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Mean of values (N,) with Student's interval; of a single one it is not known: (value, value, value)."""
    value, n = float(np.mean(values)), len(values)
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Interval(value, value - reach, value + reach)


def within_unit(interval: Interval) -> Interval:
    """The interval of a share, cut to 0..1."""
    return Interval(interval.value, max(0.0, interval.low), min(1.0, interval.high))


def percentile_interval(value: float, resampled: np.ndarray, level: float = LEVEL) -> Interval:
    """`value` with the central part of its resampled values (R,)."""
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def logit_interval(
    value: float,
    resampled: np.ndarray,
    n_images: int,
    *,
    strata: np.ndarray,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Interval:
    """`value`, a figure between `bounds`, with Student's interval on the logit scale.

    The spread is that of `resampled` (R,), drawn within `strata` (N,): of n images a resample has (n - 1) / n of the
    variance, which is made good. Simulated coverage for macro-F1, 2 to 20 classes of 4 to 60 images: 94 to 98%, where
    the percentiles of the resamples cover 89 to 94% (docs/intervals.md).
    """
    low, high = bounds
    counts = np.unique(strata, return_counts=True)[1]
    missing = np.mean(counts / np.maximum(counts - 1, 1))
    spread = float(np.std(resampled, ddof=1) * np.sqrt(missing)) / (high - low)
    margin = 0.5 / n_images
    share = min(max((value - low) / (high - low), margin), 1 - margin)  # at a bound there is no logit
    reach = stats.t.ppf(0.5 + level / 2, max(1, n_images - len(counts))) * spread / (share * (1 - share))
    ends = low + (high - low) * expit(logit(share) + np.array([-reach, reach]))
    return Interval(value, min(value, float(ends[0])), max(value, float(ends[1])))


def resample_images(
    n: int,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    strata: np.ndarray | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Values (R,) of `statistic` on resamples of n images, drawn with replacement.

    `statistic` takes indexes (r, n) and gives (r,). With `strata` (n,), images are drawn within each stratum, so
    that every class keeps its number of images; scipy's bootstrap cannot do this where a class has one image.
    """
    order, start, size = _strata_layout(n, strata)
    drawn = (order[start + (u * size).astype(np.int64)] for u in uniform_blocks(n, n_resamples, seed))
    return np.concatenate([statistic(indexes) for indexes in drawn])


def uniform_blocks(n: int, n_rows: int, seed: int) -> Iterator[np.ndarray]:
    """`n_rows` rows of n uniform numbers in [0, 1), a block (r, n) at a time so that memory stays bounded."""
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK_VALUES // max(1, n))
    for done in range(0, n_rows, rows):
        yield rng.random((min(rows, n_rows - done), n))


def _strata_layout(n: int, strata: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images ordered by stratum (n,), and for each of them where its stratum starts and how large it is (n,)."""
    if strata is None:
        return np.arange(n), np.zeros(n, dtype=np.int64), np.full(n, n)
    order = np.argsort(strata, kind="stable")
    _, first, inverse, counts = np.unique(strata[order], return_index=True, return_inverse=True, return_counts=True)
    return order, first[inverse], counts[inverse]
