"""Conformal sets: the promised share holds the right class, over all images and within classes of many images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from clipft_cli.engine.metrics.conformal import fit_sets, raps_scores
from clipft_cli.errors import DataError


def drawn(rng, n, n_classes=6, hard=()):
    """Probabilities of a model that is often wrong, more so on the classes in `hard`, and labels."""
    labels = rng.integers(n_classes, size=n)
    signal = np.where(np.isin(labels, hard), 0.3, 2.0)
    logits = rng.normal(0, 1.2, (n, n_classes))
    logits[np.arange(n), labels] += signal
    return softmax(logits, axis=1), labels


def held(sets, labels):
    return np.array([label in found for found, label in zip(sets, labels, strict=True)])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_the_right_class_is_in_the_set_as_often_as_promised(coverage):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        sets = fit_sets(*drawn(rng, 60), coverage).sets((test := drawn(rng, 100))[0])
        shares.append(held(sets, test[1]).mean())
    # by theory the mean lies from `coverage` to `coverage` + 1 / 61; its standard error is below 0.005
    assert coverage - 0.01 < np.mean(shares) < coverage + 1 / 61 + 0.01


def test_a_hard_class_of_many_images_is_held_as_often_as_the_others():
    rng = np.random.default_rng(0)
    fitted = fit_sets(*drawn(rng, 1200, hard=[0]), 0.9)
    assert fitted.own.all()
    probabilities, labels = drawn(rng, 6000, hard=[0])
    hits = held(fitted.sets(probabilities), labels)
    shares = [hits[labels == number].mean() for number in range(6)]
    assert min(shares) > 0.84
    pooled = fit_sets(*drawn(rng, 200, hard=[0]), 0.9)  # 33 images a class
    assert not pooled.own.any()
    assert len(set(pooled.thresholds)) == 1
    assert held(pooled.sets(probabilities), labels)[labels == 0].mean() < 0.84


def test_classes_of_few_images_share_a_threshold_with_the_smallest_of_the_others():
    rng = np.random.default_rng(0)
    probabilities, _ = drawn(rng, 222, n_classes=4)
    labels = np.repeat([0, 1, 2], [100, 70, 52])  # none of class 3
    assert fit_sets(probabilities, labels, 0.9).own.tolist() == [True, True, False, False]


def test_a_class_scores_what_is_likelier_and_its_rank():
    row = np.array([[0.1, 0.4, 0.05, 0.2, 0.15, 0.06, 0.04]])
    assert raps_scores(row)[0] == pytest.approx([0.75, 0.0, 0.91 + 0.01, 0.4, 0.6, 0.85, 0.96 + 0.02])


def test_a_set_is_never_empty_and_begins_with_the_likeliest():
    rng = np.random.default_rng(0)
    probabilities, labels = drawn(rng, 200)
    for row, found in zip(probabilities, fit_sets(probabilities, labels, 0.9).sets(probabilities), strict=True):
        assert found[0] == row.argmax()
        assert (np.diff(row[found]) <= 0).all()


@pytest.mark.parametrize(("n", "coverage", "way_out"), [(8, 0.9, "--coverage 0.88"), (18, 0.95, "--coverage 0.94")])
def test_too_few_images_are_refused_with_the_highest_coverage_that_they_allow(n, coverage, way_out):
    values = drawn(np.random.default_rng(0), n)
    with pytest.raises(DataError, match="or more") as caught:
        fit_sets(*values, coverage)
    assert way_out in caught.value.hint
    fit_sets(*values, float(way_out.split()[1]))
    fit_sets(*drawn(np.random.default_rng(0), n + 1), coverage)
