"""predictions.csv: whatever names hold, no cell acts."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from clipft_cli.engine.metrics.scores import Scores
from clipft_cli.engine.pages.prediction_rows import predictions_csv

HOSTILE = ["=cmd()|' /C calc'!A0", "$\\frac{a}{b}$ x_1", "犬の写真", "كلب", "\x1b[31mred\u202edog", "🐕" * 3, "a" * 300]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(HOSTILE)), 4)
    return Scores(rng.normal(size=(28, len(HOSTILE))).astype(np.float32), labels, np.arange(28), {"split": "test"})


def test_no_cell_of_the_csv_is_a_formula_or_acts_on_a_terminal(scores):
    paths = [f"@SUM(1)\n{i}.jpg" for i in range(28)]
    text = predictions_csv(scores, paths, HOSTILE, 1.0)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["path", "true", "predicted", "probability", "correct", "top5"]
    assert len(rows) == 29
    assert all(cell[:1] not in "=+-@" or not cell for row in rows for cell in row)
    assert "\x1b" not in text
    assert "\u202e" not in text
    predicted = scores.logits.argmax(axis=1)
    assert [row[4] for row in rows[1:]] == [
        "true" if p == t else "false" for p, t in zip(predicted, scores.labels, strict=True)
    ]
    assert float(rows[1][3]) == pytest.approx(scores.probabilities(1.0)[0].max(), abs=1e-6)
