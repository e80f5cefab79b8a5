"""LoRA: low-rank deltas beside the frozen image tower, and the head. Source: Hu et al. 2021."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from ...config.commands import TrainConfig
from ..model.classifier import Classifier, Head
from ..model.layers import Layer, head_layer, image_layers
from ..model.lora import LoraAdapters
from .base import Method, head_parameters


def attach(clip: nn.Module, head: Head, config: TrainConfig) -> Classifier:
    """The tower with adapters on the projections that `lora.target_modules` names."""
    lora = config.lora
    adapters = LoraAdapters.for_vit(
        clip.visual,  # type: ignore[arg-type]
        lora.target_modules,
        r=lora.r,
        alpha=lora.lora_alpha,
        dropout=lora.lora_dropout,
        rslora=lora.scaling == "rslora",
        seed=config.seed,
    )
    return Classifier(clip, head, adapters, checkpoint_blocks=config.hardware.gradient_checkpointing)


def layers(classifier: Classifier) -> tuple[Layer, ...]:
    """The tower's own layers, each with its adapter's parameters in place of its weights; and the head."""
    assert classifier.adapters is not None
    adapted: dict[str, list[str]] = {}
    for name, _ in classifier.adapters.named_parameters():
        block = ".".join(name.split(".")[:2]).replace("blocks.", "block.")
        adapted.setdefault(block, []).append(f"adapters.{name}")
    tower = image_layers(classifier.clip.visual)  # type: ignore[arg-type]
    own = [replace(layer, parameters=tuple(adapted[layer.name])) for layer in tower if layer.name in adapted]
    return (*own, head_layer(head_parameters(classifier)))


LORA = Method("lora", attach, layers, trains_by_epochs=True, saves_tower=False)
