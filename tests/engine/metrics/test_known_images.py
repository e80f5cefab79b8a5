"""Images like no class: the threshold keeps the share of known images that it promises, and no class mean cheats."""

from __future__ import annotations

import numpy as np
import pytest

from clipft_cli.engine.metrics.known_images import fit_known
from clipft_cli.errors import DataError


def drawn(rng, n, n_classes=4, width=16, noise=0.3):
    """Unit features around the first axes, and their classes."""
    labels = np.arange(n) % n_classes
    rows = np.eye(width)[labels] + rng.normal(0, noise, (n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


@pytest.mark.parametrize("share", [0.8, 0.95])
def test_new_known_images_are_kept_as_often_as_said(share):
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(200):
        known = fit_known(*drawn(rng, 40), share)
        kept.append(np.mean(known.similarity(drawn(rng, 200)[0]) >= known.threshold))
    assert share - 0.01 < np.mean(kept) < share + 0.05  # at least; more, since means of all images are better ones


def test_what_is_unlike_all_classes_is_below_the_threshold():
    rng = np.random.default_rng(0)
    known = fit_known(*drawn(rng, 100, noise=0.15), 0.95)
    others = np.roll(drawn(rng, 50, noise=0.15)[0], 8, axis=1)  # around other axes
    assert (known.similarity(others) < known.threshold).all()
    assert known.to_json() == {"threshold": known.threshold, "known_share": 0.95, "n_val_images": 100}


def test_an_image_is_not_compared_with_itself():
    """One image a class is the mean of its class: with itself each would be surely known, and the threshold 1."""
    rows = np.eye(4)[[0, 1, 2]] * 0.8 + np.eye(4)[3] * 0.6  # cosine 0.36 to each other
    known = fit_known(rows, np.arange(3), 0.5)
    assert known.threshold == pytest.approx(0.36)


def test_a_class_without_images_has_no_mean():
    rng = np.random.default_rng(0)
    features, labels = drawn(rng, 60, n_classes=3)
    assert len(fit_known(features, labels * 2, 0.9).means) == 3


@pytest.mark.parametrize(("n", "share", "way_out"), [(18, 0.95, "--known-share 0.94"), (1, 0.6, "larger share")])
def test_too_few_images_for_the_share_are_refused_with_the_way_out(n, share, way_out):
    with pytest.raises(DataError, match=r"takes \d+ or more") as caught:
        fit_known(*drawn(np.random.default_rng(0), n), share)
    assert way_out in caught.value.hint
    fit_known(*drawn(np.random.default_rng(0), 19), 0.95)
