"""Heads made of class prompts, by the pretrained text tower or by a tuned one; the zero-shot classifier."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from ...config.methods import LoraConfig
from ...errors import ClipftError
from ..files.tensors import finite_float32, read_into, read_tensors
from ..manifest import ClassInfo, Manifest
from ..methods.lora import text_adapters
from ..model.backbone import Backbone
from ..model.classifier import Classifier, CosineHead, logit_scale_of
from ..model.layers import text_tower
from ..model.prompts import zero_shot_head
from ..run_dir import TEXT_ADAPTER_FILE, TOWER_FILE, TRAINED_FILE
from .card import Card, data_facts, does_not_fit
from .load import Loaded, put_trained


def zero_shot(backbone: Backbone, templates: tuple[str, ...], manifest: Manifest, device: torch.device) -> Loaded:
    """The untouched pretrained model with a head of class prompts for the classes of `manifest`."""
    card = Card(
        method="zero_shot",
        base=backbone.base,
        preprocess=backbone.preprocess,
        classes=manifest.classes,
        templates=templates,
        head="cosine",
        settings=None,
        data=data_facts(manifest),
    )
    head = text_head(backbone, manifest.classes, templates)
    return Loaded(Classifier(backbone.model, head).to(device).eval(), card, card.to_json())


def text_head(backbone: Backbone, classes: tuple[ClassInfo, ...], templates: tuple[str, ...]) -> CosineHead:
    """The cosine head whose class vectors are the embedded prompts."""
    names = [cls.readable for cls in classes]
    weight = zero_shot_head(backbone.model, backbone.tokenizer, names, templates)
    return CosineHead(weight, logit_scale_of(backbone.model))


def tuned_text_head(
    checkpoint: Path, card: Card, backbone: Backbone, classes: tuple[ClassInfo, ...], templates: tuple[str, ...]
) -> CosineHead:
    """`text_head` by the text tower of a checkpoint that was trained with the contrastive objective.

    `backbone` is its base model, and becomes the tuned one.
    """
    with _fitting(checkpoint):
        head = text_head(_tuned(checkpoint, card, backbone), classes, templates)
        finite_float32("its text tower", head.weight.detach())
        return head


@contextlib.contextmanager
def _fitting(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except ClipftError:
        raise
    except (ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise does_not_fit(checkpoint, error) from error


def _tuned(checkpoint: Path, card: Card, backbone: Backbone) -> Backbone:
    if (checkpoint / TOWER_FILE).is_file():
        read_into(backbone.model, checkpoint / TOWER_FILE, used="visual.")
    if (checkpoint / TRAINED_FILE).is_file():
        put_trained(backbone.model, read_tensors(checkpoint / TRAINED_FILE))
    merge_text_adapters(checkpoint, card, backbone.model)
    return backbone


def merge_text_adapters(checkpoint: Path, card: Card, clip: nn.Module) -> None:
    """Write the text tower's adapters into its weights, where the checkpoint has some."""
    if isinstance(card.settings, LoraConfig) and card.objective == "contrastive":
        adapters = text_adapters(clip, card.settings)
        read_into(adapters, checkpoint / TEXT_ADAPTER_FILE)
        adapters.merge_into(text_tower(clip))
