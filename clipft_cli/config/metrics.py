"""The metrics' names: each is a file of `engine/metrics/`, and this is their order in tables and reports."""

from __future__ import annotations

from typing import Literal

SelectionMetric = Literal["loss", "top1", "top5", "macro_f1", "balanced_accuracy"]
"""What `training.select_by` may be: measured on val after every epoch."""

MetricName = Literal[SelectionMetric, "ece", "macro_precision", "mean_confidence", "nll"]
