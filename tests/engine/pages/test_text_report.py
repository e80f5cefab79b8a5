"""The report of an evaluation as text."""

from __future__ import annotations

import numpy as np
import pytest

from clipft_cli.engine.files.visible import display_width
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.metrics.scores import Scores
from clipft_cli.engine.pages.text_report import report_text

HOSTILE = ["=cmd()|' /C calc'!A0", "$\\frac{a}{b}$ x_1", "犬の写真", "كلب", "\x1b[31mred\u202edog", "🐕" * 3, "a" * 300]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(HOSTILE)), 4)
    return Scores(rng.normal(size=(28, len(HOSTILE))).astype(np.float32), labels, np.arange(28), {"split": "test"})


def test_the_report_keeps_its_columns_with_wide_names(scores):
    metrics = measure(Answers(scores.logits, scores.labels), [(name, name) for name in HOSTILE], n_resamples=10)
    text = report_text("Evaluation on test", {"model": "x"}, metrics, [("a\nb.jpg", "empty file")], ["a note"])
    assert "\x1b" not in text
    assert "a\\x0ab.jpg: empty file" in text
    rows = [line for line in text.splitlines() if line[:6].strip().isdigit() and " to " in line]
    assert len(rows) == len(HOSTILE)
    third = [len("%".join(row.split("%")[:3])) + 1 for row in rows]  # where the column F1 ends
    assert {display_width(row[:end]) for row, end in zip(rows, third, strict=True)} == {78}
