"""What holds for a metric of any kind: its interval holds its value and stays within its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.base import Metric, Unit

LABELS = np.arange(12) % 2


def kappa(answers: Answers) -> float:
    return float(cohen_kappa_score(answers.labels, answers.predicted))


@pytest.mark.parametrize("predicted", [LABELS, 1 - LABELS, (np.arange(12) % 3) % 2], ids=["right", "wrong", "mixed"])
@pytest.mark.parametrize(("unit", "low", "high"), [("signed", -1, 1), ("number", -np.inf, np.inf)])
def test_an_interval_holds_its_value_within_the_bounds_of_its_unit(predicted, unit: Unit, low, high):
    figure = Metric("kappa", "kappa", kappa, unit=unit).measured(Answers(np.eye(2)[predicted], LABELS), n_resamples=60)  # type: ignore[arg-type]
    assert low <= figure.low <= figure.value <= figure.high <= high
    if unit == "signed":
        assert figure.low < figure.high


@pytest.mark.parametrize(
    ("unit", "text"), [("share", "-25.0%"), ("signed", "-25.0%"), ("number", "-0.2500"), ("nats", "-0.2500")]
)
def test_a_value_is_shown_as_its_unit_is(unit: Unit, text):
    assert Metric("kappa", "kappa", kappa, unit=unit).text(-0.25) == text  # type: ignore[arg-type]
