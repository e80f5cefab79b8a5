"""The loss on val: mean cross-entropy of the bare logits, without smoothing, class weights or temperature."""

from __future__ import annotations

from .answers import Answers
from .base import Metric
from .calibration import nll


def _loss(answers: Answers) -> float:
    return nll(answers.logits, answers.labels)


METRIC = Metric(
    "loss",
    "loss",
    value=_loss,
    heading="val loss",
    unit="nats",
    is_higher_better=False,
    is_reported=False,
    is_headline=False,
    is_tested=False,
)
