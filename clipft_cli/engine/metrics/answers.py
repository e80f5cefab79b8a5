"""What a model answers on labelled images: all that a metric is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_softmax, softmax


@dataclass(frozen=True)
class Answers:
    """`logits` (N, C) and `labels` (N,), as numbers of classes. Probabilities are those of logits / `temperature`."""

    logits: np.ndarray
    labels: np.ndarray
    temperature: float = 1.0

    @property
    def n_classes(self) -> int:
        """C: classes the model knows, whether or not the images have them all."""
        return self.logits.shape[1]

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) the class of the highest logit; of equal ones the first in class order."""
        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def is_right(self) -> np.ndarray:
        """(N,) bool."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def log_probabilities(self) -> np.ndarray:
        """(N, C) float64."""
        return np.asarray(log_softmax(self.logits.astype(np.float64) / self.temperature, axis=1))

    @cached_property
    def confidence(self) -> np.ndarray:
        """(N,) float64: the probability of the predicted class."""
        probabilities = softmax(self.logits.astype(np.float64) / self.temperature, axis=1)
        return np.asarray(probabilities[np.arange(len(self.labels)), self.predicted])

    def is_within(self, k: int) -> np.ndarray:
        """(N,) bool: whether the true class is among the first k, equal logits in class order."""
        rows = np.arange(len(self.labels))
        own = self.logits[rows, self.labels][:, None]
        is_earlier = np.arange(self.n_classes) < self.labels[:, None]
        return np.asarray(((self.logits > own) | ((self.logits == own) & is_earlier)).sum(axis=1) < k)

    def taken(self, indexes: np.ndarray) -> Answers:
        """Those on the images of these positions."""
        return Answers(self.logits[indexes], self.labels[indexes], self.temperature)
