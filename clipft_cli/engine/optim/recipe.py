"""What `auto` means: learning rate and epochs by rules that are printed, never by a hidden search."""

from __future__ import annotations

import math

from ...config.methods import MethodName
from ...config.optim import TrainingConfig
from ..methods import METHODS
from ..methods.base import TINY_PARAMETERS

IMAGES_SEEN = 7_000


def learning_rate(method: MethodName, tower_parameters: int) -> float:
    """Peak rate for an image tower of this size, two significant digits."""
    return float(f"{METHODS[method].peak_rates.at(tower_parameters):.1e}")


def epochs(n_train: int) -> int:
    """Epochs in which about 7,000 images are seen, 5 at least and 30 at most."""
    return min(30, max(5, math.ceil(IMAGES_SEEN / max(1, n_train))))


def resolve(
    training: TrainingConfig, method: MethodName, n_train: int, tower_parameters: int
) -> tuple[TrainingConfig, list[str]]:
    """`training` with every `auto` replaced, and a sentence for each rule applied."""
    notes = []
    changes: dict[str, object] = {}
    if training.learning_rate == "auto":
        changes["learning_rate"] = learning_rate(method, tower_parameters)
        notes.append(
            f"learning rate {changes['learning_rate']:.1e}: rule for {method} and an image tower of"
            f" {tower_parameters / 1e6:.1f}M parameters{_footing(tower_parameters)}"
        )
    if training.num_epochs == "auto":
        changes["num_epochs"] = epochs(n_train)
        notes.append(f"{changes['num_epochs']} epochs: rule for {n_train} training images")
    return training.model_copy(update=changes), notes


def _footing(tower_parameters: int) -> str:
    """What a rate rests on where it was not measured at about this size."""
    if tower_parameters <= 2 * TINY_PARAMETERS:
        return ""
    return ", drawn towards what is published for ViT-B (not measured at this size)"
