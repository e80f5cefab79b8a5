"""What is measured on a split: accuracies, per-class figures, confusions, calibration, with 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from .calibration import Reliability, ece_interval, nll, reliability
from .intervals import N_RESAMPLES, Interval, percentile_interval, resample_images, wilson
from .scores import Scores, ranked

TOP = 5


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
    """Shares in 0..1, NLL in nats. Macro means are over the classes that have images in the split.

    `top5` counts the true class among the first min(5, C).
    """

    n_images: int
    top1: Interval
    top5: Interval
    macro_f1: Interval
    ece: Interval
    macro_precision: float
    macro_recall: float
    nll: float
    mean_confidence: float
    classes: tuple[ClassMetrics, ...]
    confusion: np.ndarray  # (C, C) counts, rows true, columns predicted
    reliability: Reliability

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
    scores: Scores,
    names: Sequence[tuple[str, str]],
    *,
    temperature: float = 1.0,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Metrics:
    """Every figure of `scores`; `names` are (name, readable) in class order.

    Intervals: Wilson for shares; bootstrap for macro-F1 (within classes) and for ECE, seeded.
    """
    n_classes, labels = len(names), scores.labels
    top = ranked(scores.logits, TOP)  # (N, min(5, C))
    predicted = top[:, 0]
    hits = top == labels[:, None]
    probabilities = scores.probabilities(temperature)
    confidence = probabilities[np.arange(len(labels)), predicted]
    # scikit-learn's confusion_matrix warns where one class is all there is
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    per_class = _per_class(labels, predicted, names)
    present = [item for item in per_class if item.support]
    return Metrics(
        n_images=len(labels),
        top1=wilson(int(hits[:, 0].sum()), len(labels)),
        top5=wilson(int(hits.any(axis=1).sum()), len(labels)),
        macro_f1=macro_f1_interval(labels, predicted, n_classes, n_resamples=n_resamples, seed=seed),
        ece=ece_interval(confidence, hits[:, 0], n_resamples=n_resamples, seed=seed),
        macro_precision=_mean([item.precision for item in present]),
        macro_recall=_mean([item.recall for item in present]),
        nll=nll(scores.logits, labels, temperature),
        mean_confidence=float(confidence.mean()),
        classes=tuple(per_class),
        confusion=confusion,
        reliability=reliability(confidence, hits[:, 0]),
    )


def macro_f1_interval(
    labels: np.ndarray, predicted: np.ndarray, n_classes: int, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Macro-F1 over the classes that occur in `labels` (N,), with a percentile bootstrap within classes.

    Where resamples do not differ (every image is right, say) they know nothing of the uncertainty: then the
    interval has the reach of Wilson's around the accuracy.
    """

    def statistic(indexes: np.ndarray) -> np.ndarray:
        return macro_f1_resampled(labels, predicted, n_classes, indexes)

    value = float(statistic(np.arange(len(labels))[None])[0])
    resampled = resample_images(len(labels), statistic, strata=labels, n_resamples=n_resamples, seed=seed)
    if np.ptp(resampled) == 0:
        share = wilson(int((labels == predicted).sum()), len(labels))
        return Interval(value, max(0.0, value - share.value + share.low), min(1.0, value - share.value + share.high))
    return percentile_interval(value, resampled)


def macro_f1_resampled(labels: np.ndarray, predicted: np.ndarray, n_classes: int, indexes: np.ndarray) -> np.ndarray:
    """Macro-F1 (r,) of resamples given as indexes (r, N), over the classes that occur in `labels` (N,)."""
    rows = np.arange(len(indexes))[:, None] * n_classes

    def counts(classes: np.ndarray, is_counted: np.ndarray | None = None) -> np.ndarray:
        weights = None if is_counted is None else is_counted[indexes].ravel()
        flat = (rows + classes[indexes]).ravel()
        return np.bincount(flat, weights=weights, minlength=len(indexes) * n_classes).reshape(-1, n_classes)

    both = counts(labels) + counts(predicted)  # (r, C)
    f1 = 2 * counts(labels, (labels == predicted).astype(np.float64)) / np.maximum(both, 1)
    return f1[:, np.unique(labels)].mean(axis=1)


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


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def metrics_json(metrics: Metrics) -> dict[str, object]:
    """Figures as plain numbers, for evaluation_results.json."""
    with_intervals = {name: getattr(metrics, name) for name in ("top1", "top5", "macro_f1", "ece")}
    bins = metrics.reliability
    return {
        **{name: interval.value for name, interval in with_intervals.items()},
        "macro_precision": metrics.macro_precision,
        "macro_recall": metrics.macro_recall,
        "nll": metrics.nll,
        "mean_confidence": metrics.mean_confidence,
        "intervals_95": {name: [item.low, item.high] for name, item in with_intervals.items()},
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
