"""The arithmetic of the cold start; nothing is timed here."""

from __future__ import annotations

import pytest

from .cold_start import COMMANDS, figures


def test_predict_is_compared_within_each_round():
    seconds = {name: [1.0, 1.0, 1.0] for name in COMMANDS}
    seconds |= {"import torch": [1.0, 5.0, 2.0], "predict": [1.5, 5.1, 2.2]}
    found = figures(seconds)
    assert found["predict over import torch"] == pytest.approx(0.2)
    assert (found["import torch"], found["predict"]) == (2.0, 2.2)
