"""The scores of an evaluation are read back bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open

from clipft_cli.engine.metrics.scores import Scores, scores_bytes

HOSTILE = ["=cmd()|' /C calc'!A0", "$\\frac{a}{b}$ x_1", "犬の写真", "كلب", "\x1b[31mred\u202edog", "🐕" * 3, "a" * 300]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(HOSTILE)), 4)
    return Scores(rng.normal(size=(28, len(HOSTILE))).astype(np.float32), labels, np.arange(28), {"split": "test"})


def test_scores_come_back_bit_equal(scores, tmp_path):
    (tmp_path / "s").write_bytes(scores_bytes(scores))
    with safe_open(tmp_path / "s", framework="numpy") as file:
        assert (file.get_tensor("logits") == scores.logits).all()
        assert (file.get_tensor("labels") == scores.labels).all()
        assert json.loads(file.metadata()["clipft"]) == {"split": "test"}
