"""What `auto` means: learning rate and epochs by rules that are printed, never by a hidden search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...config.commands import TrainConfig

IMAGES_SEEN = 7_000


@dataclass(frozen=True)
class Anchors:
    """Peak rates for two sizes of tower: `tiny` measured on photographs, `base` published and unmeasured here."""

    tiny: float
    base: float

    def at(self, tower_parameters: int) -> float:
        """On the line through both in logarithms; never above `tiny`, the largest that was measured."""
        power = math.log(self.base / self.tiny) / math.log(BASE_PARAMETERS / TINY_PARAMETERS)
        return min(self.tiny, self.tiny * (max(1, tower_parameters) / TINY_PARAMETERS) ** power)


TINY_PARAMETERS, BASE_PARAMETERS = 5.5e6, 86e6
"""Image towers of ViT-Ti/16 and ViT-B."""

_ADAPTERS = Anchors(tiny=3e-3, base=4e-4)
ANCHORS = {"full": Anchors(tiny=8e-4, base=2.5e-5), "lora": _ADAPTERS, "qlora": _ADAPTERS}
"""Measured: examples/experiments. Published for ViT-B: full 1e-5 to 3e-5 (Wortsman et al. 2022; Goyal et al. 2023),
without layer decay; LoRA 2e-4 (Zanella and Ben Ayed 2024) to the reference system's 5e-4."""


def learning_rate(method: str, tower_parameters: int) -> float:
    """Peak rate for an image tower of this size, two significant digits."""
    return float(f"{ANCHORS.get(method, ANCHORS['full']).at(tower_parameters):.1e}")


def epochs(n_train: int) -> int:
    """Epochs in which about 7,000 images are seen, 5 at least and 30 at most."""
    return min(30, max(5, math.ceil(IMAGES_SEEN / max(1, n_train))))


def resolve(config: TrainConfig, n_train: int, tower_parameters: int) -> tuple[TrainConfig, list[str]]:
    """`config` with every `auto` replaced, and a sentence for each rule applied."""
    training, notes = config.training, []
    changes: dict[str, object] = {}
    if training.learning_rate == "auto":
        changes["learning_rate"] = learning_rate(config.method, tower_parameters)
        notes.append(
            f"learning rate {changes['learning_rate']:.1e}: rule for {config.method} and an image tower of"
            f" {tower_parameters / 1e6:.1f}M parameters{_footing(tower_parameters)}"
        )
    if training.num_epochs == "auto":
        changes["num_epochs"] = epochs(n_train)
        notes.append(f"{changes['num_epochs']} epochs: rule for {n_train} training images")
    return config.model_copy(update={"training": training.model_copy(update=changes)}), notes


def _footing(tower_parameters: int) -> str:
    """What a rate rests on where it was not measured at about this size."""
    if tower_parameters <= 2 * TINY_PARAMETERS:
        return ""
    return ", drawn towards what is published for ViT-B (not measured at this size)"
