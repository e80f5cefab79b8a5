"""The pictures of an evaluation, whatever the names of classes."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.pages.plots import class_performance_png, confusion_png

HOSTILE = ["=cmd()|' /C calc'!A0", "$\\frac{a}{b}$ x_1", "犬の写真", "كلب", "\x1b[31mred\u202edog", "🐕" * 3, "a" * 300]


@pytest.mark.parametrize("n", [1, 2, 37, 260])
def test_pictures_are_drawn_without_a_word_whatever_the_names(n, capfd):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n), 2)
    logits = rng.normal(size=(2 * n, n)).astype(np.float32)
    logits[np.arange(2 * n), labels] += 2
    names = [(str(i), HOSTILE[i % len(HOSTILE)] + str(i)) for i in range(n)]
    metrics = measure(Answers(logits, labels), names, n_resamples=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [confusion_png(metrics, "$ title _"), class_performance_png(metrics, "title")]
    for content in pictures:
        image = Image.open(io.BytesIO(content))
        assert min(image.size) >= 200
        assert max(image.size) <= 6000
    assert capfd.readouterr() == ("", "")
