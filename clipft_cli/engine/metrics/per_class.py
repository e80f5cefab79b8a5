"""Means over classes: the counts that precision, recall and F1 are made of, for many resamples at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .answers import Answers


@dataclass(frozen=True)
class ClassCounts:
    """(r, C) images of each class that are right, that are of it, that are taken for it; of r samples of a split."""

    right: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """(r, C); 0 where a class is never predicted."""
        return self.right / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> np.ndarray:
        """(r, C); 0 where a class has no images."""
        return self.right / np.maximum(self.true, 1)

    @property
    def f1(self) -> np.ndarray:
        """(r, C)."""
        return 2 * self.right / np.maximum(self.true + self.predicted, 1)


PerClass = Callable[[ClassCounts], np.ndarray]


def macro_mean(per_class: PerClass, answers: Answers) -> float:
    """Mean of a figure over the classes that the split has images of."""
    return float(macro_means(per_class, answers, np.arange(len(answers.labels))[None])[0])


def macro_means(per_class: PerClass, answers: Answers, indexes: np.ndarray) -> np.ndarray:
    """`macro_mean` (r,) of resamples given as indexes (r, N), over the same classes in all of them."""
    counts = class_counts(answers, indexes)
    return np.asarray(per_class(counts)[:, np.unique(answers.labels)].mean(axis=1))


def class_counts(answers: Answers, indexes: np.ndarray) -> ClassCounts:
    """Of resamples given as indexes (r, N)."""
    n_classes = answers.n_classes
    rows = np.arange(len(indexes))[:, None] * n_classes

    def counted(classes: np.ndarray, is_counted: np.ndarray | None = None) -> np.ndarray:
        weights = None if is_counted is None else is_counted[indexes].ravel().astype(np.float64)
        flat = (rows + classes[indexes]).ravel()
        return np.bincount(flat, weights=weights, minlength=len(indexes) * n_classes).reshape(-1, n_classes)

    labels, predicted = answers.labels, answers.predicted
    return ClassCounts(counted(labels, answers.is_right), counted(labels), counted(predicted))
