"""Linear probe: logistic regression on frozen features, regularisation chosen on val.

Source: Radford et al. 2021, section 3.2 and appendix A.3 (L-BFGS, sweep over the regularisation).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...config.methods import LinearProbeConfig
from ..model.classifier import Classifier, LinearHead
from ..model.layers import Layer, head_layer
from .base import Method, head_parameters, plain_classifier


@dataclass(frozen=True)
class Probe:
    """A fitted probe: `weight` (C, D) and `bias` (C,) on unit features, its `c`, and top-1 on val."""

    weight: Tensor
    bias: Tensor
    c: float
    val_top1: float

    def head(self) -> LinearHead:
        """The head with these weights, scaled so that a class vector is about 1 long."""
        scale = max(float(self.weight.norm(dim=1).mean()), 1e-6)
        return LinearHead(self.weight / scale, self.bias / scale, scale)


def fit_probe(
    train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], n_classes: int, config: LinearProbeConfig
) -> Probe:
    """The probe that is best on val (the strongest regularisation among equals).

    `train` and `val` are features (N, D), of any length, and labels (N,).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train_x, val_x = (F.normalize(features, dim=-1).numpy() for features, _ in (train, val))
    train_y, val_y = train[1].numpy(), val[1].numpy()
    best: Probe | None = None
    for c in sorted(config.c_values):
        model = LogisticRegression(C=c, max_iter=config.max_iter, tol=1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train_x, train_y)
        top1 = float((model.predict(val_x) == val_y).mean())
        if best is None or top1 > best.val_top1:
            weight, bias = _all_classes(model.coef_, model.intercept_, model.classes_, n_classes)
            best = Probe(weight, bias, c, top1)
    assert best is not None  # c_values is never empty
    return best


def _all_classes(coef: np.ndarray, intercept: np.ndarray, classes: np.ndarray, n_classes: int) -> tuple[Tensor, Tensor]:
    """One row a class: scikit-learn leaves out absent classes, and keeps one row where there are two."""
    if len(classes) == 2:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((n_classes, coef.shape[1]))
    bias = np.full(n_classes, float(intercept.min()) - 10.0)  # a class never seen is never the answer
    weight[classes], bias[classes] = coef, intercept
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()


def layers(classifier: Classifier) -> tuple[Layer, ...]:
    """The head alone."""
    return (head_layer(head_parameters(classifier)),)


LINEAR_PROBE = Method("linear_probe", plain_classifier, layers, trains_by_epochs=False, saves_tower=False)
