"""Calibration on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from clipft_cli.engine.metrics.calibration import bins_of, fit_temperature, nll, reliability


def test_bins_are_open_below_and_closed_above():
    assert bins_of(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 0.5, 1.0])).tolist() == [0, 0, 1, 7, 14]


def test_ece_by_hand():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    is_right = np.array([True, True, True, False, False, False])
    # 4 of 6 images: |0.9 - 0.75|; 2 of 6: |0.5 - 0|
    assert reliability(confidence, is_right).ece == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.5)


def test_ece_does_not_let_bins_cancel_each_other():
    confidence = np.array([0.3, 0.9])
    is_right = np.array([True, False])
    assert reliability(confidence, is_right).ece == pytest.approx((0.7 + 0.9) / 2)


def test_nll_survives_probabilities_that_round_to_zero():
    logits = np.array([[0.0, 2000.0]], dtype=np.float32)
    assert nll(logits, np.array([0])) == 2000.0


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_known_sharpening(factor):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, (4000, 6))
    p = softmax(z, axis=1)
    labels = (rng.random(4000)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 5)
    assert fit_temperature(factor * z, labels) == pytest.approx(factor, rel=0.06)


def test_a_fitted_temperature_lowers_nll_and_ece_and_moves_no_prediction():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 1.5, (2000, 4))
    labels = (rng.random(2000)[:, None] > softmax(z, axis=1).cumsum(axis=1)).sum(axis=1).clip(0, 3)
    sharp = 10 * z
    temperature = fit_temperature(sharp, labels)
    assert nll(sharp, labels, temperature) < nll(sharp, labels)
    before, after = (
        reliability(softmax(sharp / t, axis=1).max(axis=1), z.argmax(axis=1) == labels).ece for t in (1, temperature)
    )
    assert after < before / 2


def test_a_val_without_mistakes_does_not_make_every_answer_certain():
    labels = np.arange(30) % 3
    temperature = fit_temperature(np.eye(3)[labels] * 5, labels)
    confidence = softmax(np.array([5, 0, 0]) / temperature).max()
    assert 0.9 < confidence < 0.995


@pytest.mark.parametrize(("size", "is_right"), [(0.02, True), (500.0, False)])
def test_logits_of_any_size_can_be_fitted(size, is_right):
    """A probe under heavy regularisation is right and sure of nothing, one that overfits is wrong and sure."""
    labels = np.arange(60) % 3
    logits = size * np.eye(3)[labels if is_right else (labels + np.arange(60) // 3) % 3]
    best = min(nll(logits, labels, size * t) for t in np.geomspace(0.05, 100, 400))
    assert nll(logits, labels, fit_temperature(logits, labels)) < best + 0.15


def test_one_class_alone_can_be_fitted():
    assert 0 < fit_temperature(np.ones((4, 1)), np.zeros(4, dtype=int)) < np.inf
