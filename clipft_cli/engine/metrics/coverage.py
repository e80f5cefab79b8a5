"""Accuracy over coverage: how many images a model may decide alone, and how often it is right on those.

Source: El-Yaniv and Wiener 2010, selective classification, with the probability of the first answer as confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .intervals import Interval, wilson


@dataclass(frozen=True)
class Coverage:
    """The images in falling order of confidence: with the first n answered, `share` (N,) of all are, `accuracy` (N,) of
    these are right, and the least sure of them has `confidence` (N,). Images of equal confidence count together."""

    share: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray


def coverage(confidence: np.ndarray, is_right: np.ndarray) -> Coverage:
    """Of confidences (N,) in 0..1 and hits (N,)."""
    order = np.argsort(-confidence, kind="stable")
    sure, n_right = confidence[order], np.cumsum(is_right[order])
    ends = np.append(np.flatnonzero(np.diff(sure)), len(sure) - 1)  # the last of those that are equally sure
    return Coverage((ends + 1) / len(sure), n_right[ends] / (ends + 1), sure[ends])


def threshold_for(confidence: np.ndarray, is_right: np.ndarray, wanted: float) -> float | None:
    """The lowest confidence from which `wanted` (0..1) of the images are right; None where no confidence reaches it."""
    found = coverage(confidence, is_right)
    enough = np.flatnonzero(found.accuracy >= wanted)
    return float(found.confidence[enough[-1]]) if len(enough) else None


def decided(confidence: np.ndarray, is_right: np.ndarray, threshold: float) -> tuple[Interval, Interval] | None:
    """The share of the images at least as sure as `threshold`, and the share right among them, with 95% intervals."""
    taken = confidence >= threshold
    n = int(taken.sum())
    return (wilson(n, len(confidence)), wilson(int(is_right[taken].sum()), n)) if n else None
