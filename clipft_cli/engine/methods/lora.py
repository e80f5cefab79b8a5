"""LoRA: low-rank deltas beside the frozen image tower, and the head; or beside both towers. Source: Hu et al. 2021."""

from __future__ import annotations

import re
from dataclasses import replace

from torch import nn

from ...config.methods import LoraConfig
from ...errors import ModelError
from ..model.classifier import Classifier, Head
from ..model.image_tower import is_named
from ..model.layers import TEXT, Layer, head_layer, image_layers, text_layers
from ..model.lora import LoraAdapters, LoraShape
from ..model.lora_linear import attach_to_linears, wanted_linears
from ..model.vit import why_unsupported
from .base import ADAPTERS, Method, MethodSettings, head_parameters


def prepare(clip: nn.Module, settings: MethodSettings) -> None:
    """Nothing is changed. Raises ModelError for an image tower that adapters cannot reach."""
    visual: nn.Module = clip.visual  # type: ignore[assignment]
    reason = why_unsupported(visual)
    if reason is None:
        return
    if is_named(visual, "VisionTransformer"):
        raise ModelError(f"LoRA cannot reach this image tower: {reason}", hint="use --method full")
    wanted_linears(visual, lora_of(settings).target_modules)


def attach(clip: nn.Module, head: Head, settings: MethodSettings) -> Classifier:
    """The towers that train with adapters on the projections that `lora.target_modules` names.

    Raises ModelError for a tower that adapters cannot reach.
    """
    prepare(clip, settings)
    visual: nn.Module = clip.visual  # type: ignore[assignment]
    lora = lora_of(settings)
    make = LoraAdapters.for_vit if why_unsupported(visual) is None else attach_to_linears
    return Classifier(
        clip,
        head,
        make(visual, lora.target_modules, _shape(lora), seed=settings.seed),
        checkpoint_blocks=settings.checkpoint_blocks,
        trains_text=settings.trains_text,
        text_adapters=text_adapters(clip, lora, settings.seed + 1) if settings.trains_text else None,
    )


def lora_of(settings: MethodSettings) -> LoraConfig:
    """The `lora` section."""
    assert isinstance(settings.own, LoraConfig)
    return settings.own


def text_adapters(clip: nn.Module, lora: LoraConfig, seed: int = 0) -> LoraAdapters:
    """New adapters for the text tower. Raises ModelError for one they cannot reach."""
    return LoraAdapters.for_text(clip, lora.target_modules, _shape(lora), seed=seed)


def _shape(lora: LoraConfig) -> LoraShape:
    return LoraShape(
        lora.r,
        lora.lora_alpha,
        dropout=lora.lora_dropout,
        rslora=lora.scaling == "rslora",
        use_dora=lora.use_dora,
    )


def layers(classifier: Classifier, settings: MethodSettings) -> tuple[Layer, ...]:
    """The towers' own layers, each with its adapters' parameters in place of its weights; and the head."""
    assert classifier.adapters is not None
    own = _adapted(image_layers(classifier.clip.visual), classifier.adapters, "adapters.", "")
    if classifier.text_adapters is None:
        return (*own, head_layer(head_parameters(classifier)))
    return (*own, *_adapted(text_layers(classifier.clip), classifier.text_adapters, "text_adapters.", TEXT))


def _adapted(tower: tuple[Layer, ...], adapters: LoraAdapters, prefix: str, kind: str) -> list[Layer]:
    """Those of a tower's layers that have adapters, with the names of these under `prefix`."""
    layer_of = {name.removesuffix(".packed"): layer.name for layer in tower for name in layer.parameters}
    adapted: dict[str, list[str]] = {}
    for name, _ in adapters.named_parameters():
        base = name.rsplit(".", 2)[0]  # without the target and the factor
        is_block = re.fullmatch(r"blocks\.(\d+)", base)
        layer = f"{kind}block.{is_block[1]}" if is_block else layer_of[f"clip.visual.{base}.weight"]
        adapted.setdefault(layer, []).append(prefix + name)
    return [replace(layer, parameters=tuple(adapted[layer.name])) for layer in tower if layer.name in adapted]


LORA = Method("lora", attach, layers, has_adapters=True, peak_rates=ADAPTERS, prepare=prepare)
