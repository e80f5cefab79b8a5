"""The registry of metrics: one file each, of the metric's name, one contract (`base.Metric`)."""

from importlib import import_module
from typing import get_args

from ...config.metrics import MetricName
from .base import Metric

METRICS: dict[str, Metric] = {name: import_module(f".{name}", __package__).METRIC for name in get_args(MetricName)}
"""In the order of tables and reports."""

VAL_METRICS = tuple(metric for metric in METRICS.values() if metric.is_val_column)
REPORTED = tuple(metric for metric in METRICS.values() if metric.is_reported)
HEADLINES = tuple(metric for metric in REPORTED if metric.is_headline)
