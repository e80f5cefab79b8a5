"""What `auto` means: learning rate and epochs by rules that are printed, never by a hidden search."""

from __future__ import annotations

import math

from ...config.commands import TrainConfig

ANCHOR_PARAMETERS = 5.5e6
"""Size of the ViT-Ti/16 tower on which the rates below were settled."""

ANCHOR_RATE = {"full": 2e-4, "lora": 1e-3, "qlora": 1e-3}
IMAGES_SEEN = 7_000


def learning_rate(method: str, tower_parameters: int) -> float:
    """Peak rate for an image tower of this size, two significant digits.

    Full fine-tuning: in inverse proportion to the parameters, which joins 2e-4 measured on ViT-Ti/16 with the 1e-5
    to 3e-5 published for ViT-B (Wortsman et al. 2022; Goyal et al. 2023). LoRA: with their square root, which joins
    1e-3 with the 2e-4 of CLIP-LoRA on ViT-B/16 (Zanella and Ben Ayed 2024).
    """
    ratio = ANCHOR_PARAMETERS / max(1, tower_parameters)
    power = 0.5 if method in ("lora", "qlora") else 1.0
    rate = min(2e-3, max(2e-6, ANCHOR_RATE.get(method, 2e-4) * ratio**power))
    return float(f"{rate:.1e}")


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
            f" {tower_parameters / 1e6:.1f}M parameters"
        )
    if training.num_epochs == "auto":
        changes["num_epochs"] = epochs(n_train)
        notes.append(f"{changes['num_epochs']} epochs: rule for {n_train} training images")
    return config.model_copy(update={"training": training.model_copy(update=changes)}), notes
