from __future__ import annotations

import numpy as np
import pytest

from clipft_cli.engine.metrics.coverage import coverage, decided, threshold_for

SURE = np.array([0.5, 0.9, 0.7, 0.9, 0.6])
RIGHT = np.array([False, True, False, True, True])


def test_images_come_by_falling_confidence_and_equals_together():
    found = coverage(SURE, RIGHT)
    assert found.share.tolist() == [0.4, 0.6, 0.8, 1.0]
    assert found.accuracy.tolist() == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
    assert found.confidence.tolist() == [0.9, 0.7, 0.6, 0.5]


@pytest.mark.parametrize(("wanted", "threshold"), [(1.0, 0.9), (0.75, 0.6), (0.6, 0.5), (0.0, 0.5)])
def test_the_threshold_is_the_lowest_that_keeps_the_share_right(wanted, threshold):
    assert threshold_for(SURE, RIGHT, wanted) == threshold


def test_where_the_surest_are_wrong_there_is_no_threshold():
    assert threshold_for(SURE, ~RIGHT, 0.99) is None


def test_a_threshold_decides_those_at_least_as_sure():
    share, right = decided(SURE, RIGHT, 0.6)
    assert (share.value, right.value) == (0.8, 0.75)
    assert 0 < right.low < 0.75 < right.high < 1
    assert decided(SURE, RIGHT, 0.95) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_what_counting_gives(seed):
    rng = np.random.default_rng(seed)
    sure = rng.integers(1, 12, 200) / 12
    right = rng.random(200) < sure
    found = coverage(sure, right)
    for share, accuracy, least in zip(found.share, found.accuracy, found.confidence, strict=True):
        taken = sure >= least
        assert share == pytest.approx(taken.mean())
        assert accuracy == pytest.approx(right[taken].mean())
