"""Raw logits of a split with their labels, kept so that two models can be compared image by image later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import softmax

from ..files.regular import as_regular

SCORES_FILE = "scores.safetensors"


@dataclass(frozen=True)
class Scores:
    """`logits` (N, C) float32, `labels` (N,), `indexes` (N,): positions in the split's rows, in manifest order.

    Images that could not be read have no row; `facts` say what was measured on what.
    """

    logits: np.ndarray
    labels: np.ndarray
    indexes: np.ndarray
    facts: Mapping[str, Any]

    def probabilities(self, temperature: float) -> np.ndarray:
        """(N, C) float64, rows add up to 1."""
        return np.asarray(softmax(self.logits.astype(np.float64) / temperature, axis=1))


def ranked(logits: np.ndarray, k: int) -> np.ndarray:
    """(N, min(k, C)) classes by falling logit; of equal ones the first in class order comes first."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :k]


def scores_bytes(scores: Scores) -> bytes:
    """As a safetensors file; the facts are its metadata."""
    tensors: dict[str, np.ndarray] = {
        "logits": np.ascontiguousarray(scores.logits, dtype=np.float32),
        "labels": np.ascontiguousarray(scores.labels, dtype=np.int64),
        "indexes": np.ascontiguousarray(scores.indexes, dtype=np.int64),
    }
    return save(tensors, metadata={"clipft": json.dumps(dict(scores.facts), ensure_ascii=False)})


def read_scores(path: Path) -> Scores | None:
    """What `scores_bytes` wrote; None where there is no such file, or another."""
    try:
        with safe_open(as_regular(path), "numpy") as file:
            facts = json.loads((file.metadata() or {})["clipft"])
            logits, labels, indexes = (file.get_tensor(name) for name in ("logits", "labels", "indexes"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    is_whole = logits.ndim == 2 and len(logits) > 0 and labels.shape == indexes.shape == logits.shape[:1]
    if not is_whole or not isinstance(facts, dict) or not np.isfinite(logits).all():
        return None
    is_of_classes = np.issubdtype(labels.dtype, np.integer) and 0 <= labels.min() <= labels.max() < logits.shape[1]
    return Scores(logits, labels, indexes, facts) if is_of_classes else None
