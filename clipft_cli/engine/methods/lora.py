"""LoRA: low-rank deltas beside the frozen image tower, and the head. Source: Hu et al. 2021."""

from __future__ import annotations

import re
from dataclasses import replace

from torch import nn

from ...config.commands import TrainConfig
from ...errors import ModelError
from ..model.classifier import Classifier, Head
from ..model.image_tower import is_named
from ..model.layers import Layer, head_layer, image_layers
from ..model.lora import LoraAdapters
from ..model.lora_linear import attach_to_linears
from ..model.vit import why_unsupported
from .base import Method, head_parameters


def attach(clip: nn.Module, head: Head, config: TrainConfig) -> Classifier:
    """The tower with adapters on the projections that `lora.target_modules` names.

    Raises ModelError for a tower that adapters cannot reach.
    """
    lora = config.lora
    visual: nn.Module = clip.visual  # type: ignore[assignment]
    reason = why_unsupported(visual)
    if reason is not None and is_named(visual, "VisionTransformer"):
        raise ModelError(f"LoRA cannot reach this image tower: {reason}", hint="use --method full")
    make = LoraAdapters.for_vit if reason is None else attach_to_linears
    adapters = make(
        visual,
        lora.target_modules,
        r=lora.r,
        alpha=lora.lora_alpha,
        dropout=lora.lora_dropout,
        rslora=lora.scaling == "rslora",
        use_dora=lora.use_dora,
        seed=config.seed,
    )
    return Classifier(clip, head, adapters, checkpoint_blocks=config.hardware.gradient_checkpointing)


def layers(classifier: Classifier) -> tuple[Layer, ...]:
    """The tower's own layers, each with its adapters' parameters in place of its weights; and the head."""
    assert classifier.adapters is not None
    tower = image_layers(classifier.clip.visual)  # type: ignore[arg-type]
    layer_of = {name.removesuffix(".packed"): layer.name for layer in tower for name in layer.parameters}
    adapted: dict[str, list[str]] = {}
    for name, _ in classifier.adapters.named_parameters():
        base = name.rsplit(".", 2)[0]  # without the target and the factor
        is_block = re.fullmatch(r"blocks\.(\d+)", base)
        layer = f"block.{is_block[1]}" if is_block else layer_of[f"clip.visual.{base}.weight"]
        adapted.setdefault(layer, []).append(f"adapters.{name}")
    own = [replace(layer, parameters=tuple(adapted[layer.name])) for layer in tower if layer.name in adapted]
    return (*own, head_layer(head_parameters(classifier)))


LORA = Method("lora", attach, layers, trains_by_epochs=True, saves_tower=False, has_adapters=True)
