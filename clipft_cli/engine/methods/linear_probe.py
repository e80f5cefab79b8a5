"""Linear probe: logistic regression on frozen features, regularisation chosen on val.

Source: Radford et al. 2021, section 3.2 and appendix A.3 (L-BFGS, sweep over the regularisation).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...config.methods import LinearProbeConfig
from ..model.classifier import Classifier, LinearHead
from ..model.layers import Layer, head_layer
from .base import Method, MethodSettings, head_parameters, plain_classifier


@dataclass(frozen=True)
class Probe:
    """A fitted probe: `weight` (C, D) and `bias` (C,) on unit features, its `c`, and what its logits are divided by.

    A strong regularisation keeps the ranks of the classes and makes all logits small: nearly uniform probabilities,
    which nothing can be trained from. `temperature` makes them those of a calibrated probe.
    """

    weight: Tensor
    bias: Tensor
    c: float
    temperature: float = 1.0

    def head(self) -> LinearHead:
        """The head with these weights, scaled so that a class vector is about 1 long; calibrated by its scale."""
        length = max(float(self.weight.norm(dim=1).mean()), 1e-6)
        return LinearHead(self.weight / length, self.bias / length, length / self.temperature)


def fit_probe(
    train: tuple[Tensor, Tensor],
    val: Tensor,
    n_classes: int,
    config: LinearProbeConfig,
    *,
    temperature_of: Callable[[Tensor], float],
    rank_of: Callable[[Tensor], tuple[float, ...]],
    is_balanced: bool = False,
) -> Probe:
    """The calibrated probe whose logits rank highest on val (the strongest regularisation among equals).

    `train` are features (N, D), of any length, and labels (N,); `val` are features (M, D). Of logits (M, C),
    `temperature_of` says which temperature calibrates them, and `rank_of` what they are worth once it has.
    `is_balanced`: every class weighs the same in the loss, however many images it has.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train_x, train_y = F.normalize(train[0], dim=-1).numpy(), train[1].numpy()
    best: Probe | None = None
    best_rank: tuple[float, ...] = ()
    for c in sorted(config.c_values):
        weights = "balanced" if is_balanced else None
        model = LogisticRegression(C=c, max_iter=config.max_iter, tol=1e-4, class_weight=weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train_x, train_y)
        probe = Probe(*_all_classes(model.coef_, model.intercept_, model.classes_, n_classes), c)
        probe = replace(probe, temperature=temperature_of(_logits(probe, val)))
        rank = rank_of(_logits(probe, val))
        if best is None or rank > best_rank:
            best, best_rank = probe, rank
    assert best is not None  # c_values is never empty
    return best


def _logits(probe: Probe, features: Tensor) -> Tensor:
    with torch.no_grad():
        return probe.head()(features)  # type: ignore[no-any-return]


def _all_classes(coef: np.ndarray, intercept: np.ndarray, classes: np.ndarray, n_classes: int) -> tuple[Tensor, Tensor]:
    """One row a class: scikit-learn leaves out absent classes, and keeps one row where there are two."""
    if len(classes) == 2:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((n_classes, coef.shape[1]))
    bias = np.full(n_classes, float(intercept.min()) - 10.0)  # a class never seen is never the answer
    weight[classes], bias[classes] = coef, intercept
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()


def layers(classifier: Classifier, settings: MethodSettings) -> tuple[Layer, ...]:
    """The head alone."""
    return (head_layer(head_parameters(classifier)),)


LINEAR_PROBE = Method("linear_probe", plain_classifier, layers, trains_by_epochs=False)
