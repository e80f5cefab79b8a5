"""What is measured on a split: accuracies, per-class figures, confusions, calibration, with 95% intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from . import METRICS, REPORTED
from .answers import Answers
from .base import Metric
from .calibration import Reliability, reliability
from .intervals import N_RESAMPLES, Interval, wilson


@dataclass(frozen=True)
class ClassMetrics:
    """One class: shares in 0..1, `support` its images in the split, `recall_low` and `_high` Wilson's interval.

    A class that is never predicted has precision 0; one without images has recall and F1 0 and is in no mean.
    """

    name: str
    readable: str
    support: int
    predicted: int
    precision: float
    recall: float
    recall_low: float
    recall_high: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """`count` images of `true` were taken for `predicted`; `share` is of the images of `true`."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Metrics:
    """`figures`: a metric's name -> its value and 95% interval, of all that a report has."""

    n_images: int
    figures: Mapping[str, Interval]
    classes: tuple[ClassMetrics, ...]
    confusion: np.ndarray  # (C, C) counts, rows true, columns predicted
    reliability: Reliability

    @property
    def top1(self) -> Interval:
        """Share of images that are right."""
        return self.figures["top1"]

    @property
    def headlines(self) -> list[tuple[Metric, Interval]]:
        """What a person is shown first."""
        return [
            (metric, figure)
            for metric, figure in self.reported
            if metric.is_headline and len(self.classes) >= metric.min_classes
        ]

    @property
    def reported(self) -> list[tuple[Metric, Interval]]:
        """Every figure with the metric it is of, in the order of reports."""
        return [(METRICS[name], figure) for name, figure in self.figures.items()]

    @property
    def names_without_images(self) -> list[str]:
        """Classes the split has no image of."""
        return [item.name for item in self.classes if item.support == 0]

    def worst_classes(self, n: int) -> list[ClassMetrics]:
        """Those of lowest F1 among classes with images, the worst first."""
        present = [item for item in self.classes if item.support]
        return sorted(present, key=lambda item: (item.f1, item.recall, item.name))[:n]

    def most_confused(self, n: int) -> list[Confusion]:
        """The most frequent mistakes, in classes' readable names."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        largest = np.argsort(-wrong, axis=None, kind="stable")[:n]
        pairs = [divmod(int(flat), len(wrong)) for flat in largest]
        names = [item.readable for item in self.classes]
        return [
            Confusion(names[t], names[p], int(wrong[t, p]), float(wrong[t, p] / self.confusion[t].sum()))
            for t, p in pairs
            if wrong[t, p]
        ]


def measure(
    answers: Answers, names: Sequence[tuple[str, str]], *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Metrics:
    """Every figure of `answers`; `names` are (name, readable) in class order. Bootstraps are seeded."""
    n_classes, labels, predicted = len(names), answers.labels, answers.predicted
    # scikit-learn's confusion_matrix warns where one class is all there is
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    return Metrics(
        n_images=len(labels),
        figures={metric.name: metric.measured(answers, n_resamples=n_resamples, seed=seed) for metric in REPORTED},
        classes=tuple(_per_class(labels, predicted, names)),
        confusion=confusion,
        reliability=reliability(answers.confidence, answers.is_right),
    )


def _per_class(labels: np.ndarray, predicted: np.ndarray, names: Sequence[tuple[str, str]]) -> list[ClassMetrics]:
    order = np.arange(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=order, zero_division=0)
    n_predicted = np.bincount(predicted, minlength=len(names))
    n_right = np.bincount(labels[labels == predicted], minlength=len(names))
    result = []
    for c, (name, readable) in enumerate(names):
        interval = wilson(int(n_right[c]), int(support[c]))
        result.append(
            ClassMetrics(
                name,
                readable,
                int(support[c]),
                int(n_predicted[c]),
                float(precision[c]),
                float(recall[c]),
                interval.low,
                interval.high,
                float(f1[c]),
            )
        )
    return result


def metrics_json(metrics: Metrics) -> dict[str, object]:
    """Figures as plain numbers, for evaluation_results.json."""
    bins = metrics.reliability
    return {
        **{name: figure.value for name, figure in metrics.figures.items()},
        "macro_recall": metrics.figures["balanced_accuracy"].value,  # its other name, which earlier files have
        "intervals_95": {name: [figure.low, figure.high] for name, figure in metrics.figures.items()},
        "per_class": [asdict(item) for item in metrics.classes],
        "classes_without_images": metrics.names_without_images,
        "most_confused": [asdict(item) for item in metrics.most_confused(20)],
        "confusion_matrix": metrics.confusion.tolist(),
        "reliability": {
            "bins": "15 of equal width",
            "counts": bins.counts.tolist(),
            "confidence": bins.confidence.tolist(),
            "accuracy": bins.accuracy.tolist(),
        },
    }
