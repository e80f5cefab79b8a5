"""Intervals: equal to published formulas, repeatable, and right as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.calibration import bins_of, ece_interval
from clipft_cli.engine.metrics.intervals import (
    logit_interval,
    percentile_interval,
    resample_images,
    uniform_blocks,
    wilson,
)
from clipft_cli.engine.metrics.macro_f1 import METRIC as MACRO_F1


def test_wilson_is_wilsons_formula():
    n_hits, n, z = 81, 100, stats.norm.ppf(0.975)
    p = n_hits / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    interval = wilson(n_hits, n)
    assert (interval.low, interval.high) == pytest.approx((centre - reach, centre + reach), abs=1e-12)
    assert interval.value == 0.81


def test_wilson_of_nothing_says_nothing():
    interval = wilson(0, 0)
    assert np.isnan(interval.value)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize("p", [0.5, 0.8, 0.97])
def test_wilson_covers_the_truth_about_95_times_in_100(p):
    hits = np.random.default_rng(1).binomial(150, p, size=800)
    covered = np.mean([wilson(int(k), 150).low <= p <= wilson(int(k), 150).high for k in hits])
    assert 0.93 <= covered <= 0.98


def test_a_bootstrap_of_the_mean_agrees_with_scipys():
    values = np.random.default_rng(0).exponential(size=200)
    ours = percentile_interval(
        values.mean(), resample_images(200, lambda i: values[i].mean(axis=1), n_resamples=4000, seed=0)
    )
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.02)


def test_the_same_seed_gives_the_same_resamples_and_another_one_others():
    def drawn(seed):
        return resample_images(50, lambda i: i.sum(axis=1), n_resamples=20, seed=seed)

    assert (drawn(3) == drawn(3)).all()
    assert (drawn(3) != drawn(4)).any()


def test_strata_keep_their_sizes_in_every_resample():
    strata = np.array([2, 0, 0, 1, 2, 2, 2])
    counts = resample_images(
        7,
        lambda indexes: np.array([(np.bincount(strata[row], minlength=3) == [2, 1, 4]).all() for row in indexes]),
        strata=strata,
        n_resamples=100,
    )
    assert counts.all()


def test_blocks_are_bounded_and_add_up(monkeypatch):
    monkeypatch.setattr("clipft_cli.engine.metrics.intervals._BLOCK_VALUES", 250)
    shapes = [block.shape for block in uniform_blocks(100, 7, seed=0)]
    assert shapes == [(2, 100), (2, 100), (2, 100), (1, 100)]


@pytest.mark.parametrize("sizes", [(40, 40, 40), (8, 8, 8), (20, 6, 4)])
def test_macro_f1_covers_the_truth_about_95_times_in_100(sizes: tuple[int, ...]) -> None:
    """Percentiles of the same resamples cover 94, 91 and 90 of 100 here."""
    rng = np.random.default_rng(0)
    confusion = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    counts = confusion * np.array(sizes)[:, None]
    truth = np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1)))
    labels = np.repeat([0, 1, 2], sizes)
    covered = 0
    for seed in range(400):
        predicted = (rng.random(len(labels))[:, None] > confusion.cumsum(axis=1)[labels]).sum(axis=1)
        interval = MACRO_F1.measured(Answers(np.eye(3)[predicted], labels), n_resamples=200, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / 400 <= 0.99


def test_a_logit_interval_is_students_where_the_figure_is_a_plain_share() -> None:
    """Of one stratum of n images with k hits, the spread is that of a share, p(1-p)/(n-1), to the bootstrap's noise."""
    n, p = 50, 0.8
    is_right = np.arange(n) < n * p
    resampled = resample_images(n, lambda i: is_right[i].mean(axis=1), n_resamples=20_000, seed=0)
    interval = logit_interval(p, resampled, n, strata=np.zeros(n))
    reach = stats.t.ppf(0.975, n - 1) * np.sqrt(p * (1 - p) / (n - 1)) / (p * (1 - p))
    assert (interval.low, interval.high) == pytest.approx(
        tuple(1 / (1 + np.exp(-(np.log(p / (1 - p)) + np.array([-reach, reach]))))), abs=2e-3
    )


@pytest.mark.parametrize("value", [0.0, 0.02, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_a_logit_interval_holds_its_value_and_keeps_its_bounds(value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    value = low + (high - low) * value
    resampled = np.clip(np.random.default_rng(0).normal(value, 0.3, 500), low, high)
    interval = logit_interval(value, resampled, 12, strata=np.repeat([0, 1, 2], 4), bounds=bounds)
    assert low <= interval.low <= interval.value <= interval.high <= high
    assert interval.low < interval.high


def test_classes_of_one_image_leave_an_interval_that_is_a_number() -> None:
    interval = logit_interval(0.5, np.array([0.4, 0.6]), 2, strata=np.array([0, 1]))
    assert 0 <= interval.low < 0.5 < interval.high <= 1


@pytest.mark.parametrize(("overconfidence", "n"), [(0.0, 300), (0.15, 300), (-0.07, 150)])
def test_ece_covers_the_truth_about_95_times_in_100(overconfidence: float, n: int) -> None:
    rng = np.random.default_rng(0)
    many = rng.beta(5, 1.5, 500_000)
    gaps = many - np.clip(many - overconfidence, 0, 0.995)
    truth = np.abs(np.bincount(bins_of(many), weights=gaps)).sum() / len(many)
    covered = 0
    for seed in range(150):
        confidence = rng.beta(5, 1.5, n)
        is_right = rng.random(n) < np.clip(confidence - overconfidence, 0, 0.995)
        interval = ece_interval(confidence, is_right, n_resamples=300, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert covered / 150 >= 0.90


def test_a_perfect_score_of_few_images_is_not_called_certain():
    labels = np.repeat([0, 1], 10)
    interval = MACRO_F1.measured(Answers(np.eye(2)[labels], labels))
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(wilson(20, 20).low)
    assert ece_interval(np.full(20, 0.99), np.ones(20, dtype=bool)).high > 0.1
