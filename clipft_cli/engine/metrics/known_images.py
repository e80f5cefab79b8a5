"""Which images are like those of the known classes: the nearest of the class means, and a threshold fitted on val.

Source: Lee et al. 2018 and Sun et al. 2022 (distance in feature space finds images of no known class), here by the
cosine to the class means; Vovk et al. 2005 for the rank that the threshold stands at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError
from ..files.amounts import count


@dataclass(frozen=True)
class KnownImages:
    """What features of known classes are like: `means` (P, D), rows of length 1, of the classes that val has images of.

    An image less like the nearest of them than `threshold` is unlike all; the threshold keeps at least `share` of
    known images, by `n_images` of val.
    """

    means: np.ndarray
    threshold: float
    share: float
    n_images: int

    def similarity(self, features: np.ndarray) -> np.ndarray:
        """(B,) cosine of features (B, D), rows of length 1, to the class mean that is nearest."""
        return (features @ self.means.T).max(axis=1)  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, Any]:
        """The rule: threshold, share and images that it was fitted on."""
        return {"threshold": self.threshold, "known_share": self.share, "n_val_images": self.n_images}


def fit_known(features: np.ndarray, labels: np.ndarray, share: float) -> KnownImages:
    """Of features (N, D), rows of length 1, with labels (N,): a new known image is kept with chance `share` or more.

    Each image is compared with the mean of its class without it, or it would seem more known than a new one.
    Raises DataError where N images are too few for a share this high.
    """
    rank = math.floor((1 - share) * (len(labels) + 1) + 1e-9)
    if rank == 0:
        n, most = len(labels), math.floor(100 * len(labels) / (len(labels) + 1)) / 100
        needed = math.ceil(1 / (1 - share) - 1e-9) - 1
        way_out = f"`--known-share {most:g}` is the highest that they allow, or " if most >= 0.5 else ""
        raise DataError(
            f"--reject: val has {count(n, 'image')}, and to keep {share:.4g} of known images takes {needed} or more",
            hint=f"{way_out}prepare the data with a larger share for val",
        )
    classes, of_class = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(classes), features.shape[1]))
    np.add.at(sums, of_class, features.astype(np.float64))
    means, rows = _unit(sums), np.arange(len(labels))
    similarity = features @ means.T  # (N, P)
    others = _unit(sums[of_class] - features)  # of the same class
    is_alone = np.bincount(of_class)[of_class] == 1
    similarity[rows, of_class] = np.where(is_alone, -1.0, (others * features).sum(axis=1))
    threshold = np.sort(similarity.max(axis=1))[rank - 1]
    return KnownImages(means, float(threshold), share, len(labels))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]
