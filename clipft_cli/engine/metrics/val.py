"""What is measured on val after every epoch: the metrics that are val columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from . import METRICS, VAL_METRICS
from .answers import Answers

PREFIX = "val_"


class ValMetrics(dict[str, float]):
    """Of one pass over val: a metric's name -> its value. What a run of an earlier version measured may be fewer."""

    @property
    def loss(self) -> float:
        """Mean cross-entropy without smoothing."""
        return self["loss"]

    @property
    def top1(self) -> float:
        """Share of images that are right, 0..1."""
        return self["top1"]

    @property
    def columns(self) -> dict[str, float]:
        """As in metrics.jsonl and a checkpoint's card: `val_loss`, `val_top1` and so on."""
        return {PREFIX + name: value for name, value in self.items()}

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> ValMetrics:
        """What `columns` wrote, among whatever else is there. Raises KeyError without the loss or top-1."""
        found = {name: columns[PREFIX + name] for name in METRICS if PREFIX + name in columns}
        return cls({name: float(value) for name, value in {"loss": columns["val_loss"], **found}.items()})

    def value(self, select_by: str) -> float:
        """The metric that chooses, turned so that larger is better."""
        return METRICS[select_by].gain(self[select_by])

    def rank(self, select_by: str) -> tuple[float, float]:
        """`value`, and the lower loss between equals: on a small val many epochs have the same accuracy."""
        return self.value(select_by), -self.loss


def metrics_of(logits: torch.Tensor, labels: torch.Tensor) -> ValMetrics:
    """Metrics of logits (N, C) against labels (N,)."""
    answers = Answers(logits.detach().cpu().float().numpy(), labels.cpu().numpy())
    return ValMetrics({metric.name: metric.value(answers) for metric in VAL_METRICS})
