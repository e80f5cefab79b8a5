"""Paired tests: exact on constructed cases, equal to scipy, and right as often as they say."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats

from clipft_cli.engine.comparison.paired import holm, images_needed, mcnemar, paired_difference
from clipft_cli.engine.metrics.intervals import wilson


def hits(n_both: int, n_first: int, n_second: int, n_neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [n_both, n_first, n_second, n_neither])
    second = np.repeat([True, False, True, False], [n_both, n_first, n_second, n_neither])
    return first, second


def test_mcnemar_is_a_sign_test_on_the_images_that_differ():
    result = mcnemar(*hits(50, 8, 1, 11))
    assert (result.only_first, result.only_second) == (8, 1)
    assert result.p == pytest.approx(2 * (1 + 9) / 2**9)  # two-sided: P(at most 1 of 9) doubled


def test_mcnemar_of_equal_answers_shows_nothing():
    first, _ = hits(5, 3, 0, 2)
    assert mcnemar(first, first).p == 1.0


def test_the_difference_is_that_of_the_accuracies():
    first, second = hits(60, 20, 5, 15)
    interval = paired_difference(first, second)
    assert interval.value == pytest.approx(0.15)
    assert interval.low > 0


def test_the_interval_agrees_with_scipys_bootstrap_of_the_paired_differences():
    first, second = hits(100, 30, 18, 52)
    difference = first.astype(float) - second
    theirs = stats.bootstrap((difference,), np.mean, n_resamples=9999, method="percentile", rng=0).confidence_interval
    ours = paired_difference(first, second)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.006)


def test_equal_answers_on_few_images_are_no_proof_of_equal_models():
    first, _ = hits(7, 4, 0, 3)
    interval = paired_difference(first, first)
    assert interval.value == 0.0
    assert interval.high == -interval.low == pytest.approx(wilson(0, 14).high)


def test_a_hundred_thousand_images_are_resampled_at_once():
    first, second = hits(70_000, 6_000, 5_000, 19_000)
    began = time.perf_counter()
    interval = paired_difference(first, second)
    assert time.perf_counter() - began < 5  # image by image it takes a minute
    error = math.sqrt(0.11 - 0.01**2) / math.sqrt(100_000)  # of a mean of +1, -1 and 0
    assert (interval.low, interval.high) == pytest.approx((0.01 - 1.96 * error, 0.01 + 1.96 * error), abs=1e-4)


def test_pairing_is_used_a_shared_difficulty_does_not_widen_the_interval():
    rng = np.random.default_rng(0)
    easy = rng.random(400) < 0.5
    first = easy | (rng.random(400) < 0.04)
    paired = paired_difference(first, easy)
    unpaired = paired_difference(first, rng.permutation(easy))
    assert paired.margin < unpaired.margin / 2


def test_the_difference_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(300):
        u = rng.random(200)
        first, second = u < 0.80, (u < 0.70) | (u > 0.95)  # true difference 0.05
        interval = paired_difference(first, second, n_resamples=400, seed=seed)
        covered += interval.low <= 0.05 <= interval.high
    assert 0.91 <= covered / 300 <= 0.985


def test_seeds_that_disagree_widen_the_interval():
    base = np.tile(np.repeat([True, False], [70, 30]), (3, 1))
    steady = base.copy()
    steady[:, 70:80] = True
    shaky = base.copy()
    shaky[0, 70:100] = True  # the same mean gain of 10 images, all from one seed
    same, uneven = paired_difference(steady, base), paired_difference(shaky, base)
    assert same.value == pytest.approx(uneven.value) == pytest.approx(0.1)
    assert uneven.low <= 0 < same.low


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="same images"):
        paired_difference(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="same images"):
        mcnemar(np.ones(3), np.ones(4))


def test_holm_on_the_textbook_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("only_first", "only_second", "n_pairs"), [(0.12, 0.06, 1), (0.05, 0.02, 1), (0.08, 0.03, 6)])
def test_images_needed_give_the_power_they_promise(only_first, only_second, n_pairs):
    """By the exact test that the verdict goes by, at the level that the correction leaves."""
    level = 0.05 / n_pairs
    n = images_needed(only_first, only_second, power=0.8, level=1 - level)
    drawn = np.random.default_rng(0).multinomial(n, [only_first, only_second, 1 - only_first - only_second], size=1500)
    shown = [stats.binomtest(int(a), int(a + b), 0.5).pvalue < level for a, b, _ in drawn]
    assert 0.77 <= np.mean(shown) <= 0.84


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_over_seeds_the_interval_covers_the_difference_of_the_methods(n_seeds):
    """Seeds scatter by 2.5 points; the truth is that of all seeds and images, not of those drawn."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(1 + 0.7**2 + 0.1**2)
    truth = stats.norm.cdf(0.9 / scale) - stats.norm.cdf(0.6 / scale)
    covered = 0
    for seed in range(150):
        difficulty = rng.normal(size=120)
        first, second = (
            difficulty + 0.7 * rng.normal(size=(n_seeds, 120)) < skill + 0.1 * rng.normal(size=(n_seeds, 1))
            for skill in (0.9, 0.6)
        )
        interval = paired_difference(first, second, n_resamples=300, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert covered / 150 >= 0.94


def test_no_difference_needs_no_number_of_images():
    assert images_needed(0.1, 0.1) is None
