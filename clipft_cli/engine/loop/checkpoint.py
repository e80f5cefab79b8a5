"""A fine-tuned model on disk: safetensors and JSON, checksummed, written whole or not at all, never pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ...config.data import DataConfig
from ...config.model import ModelConfig
from ...errors import CheckpointError, ClipftError
from ..data.digest import file_digest
from ..data.manifest import ClassInfo, Manifest
from ..data.templates import choose_templates
from ..methods import METHODS
from ..methods.lora import text_adapters
from ..model.backbone import Backbone, build_untrained, load_backbone
from ..model.classifier import Classifier, CosineHead, logit_scale_of
from ..model.foreign import check_model_cfg
from ..model.lora import text_tower
from ..model.prompts import zero_shot_head
from ..run_dir import (
    ADAPTER_FILE,
    CHECKPOINT_FILE,
    HEAD_FILE,
    OPEN_CLIP_CONFIG_FILE,
    TEXT_ADAPTER_FILE,
    TOWER_FILE,
    replaced_folder,
)
from .card import Card, card_of, data_facts, does_not_fit, read_card, signed_json, verify_files
from .loaded import Loaded, put_together
from .tensors import write_tensors


def save_classifier(folder: Path, classifier: Classifier, card: Card) -> None:
    """Write the checkpoint `folder`, replacing one of the same name only when the new one is whole."""
    with replaced_folder(folder) as new:
        write_tensors(new / HEAD_FILE, classifier.head.state_dict())
        if METHODS[card.method].saves_tower:  # type: ignore[index]
            write_tensors(new / TOWER_FILE, classifier.clip.state_dict())
        if classifier.adapters is not None:
            write_tensors(new / ADAPTER_FILE, classifier.adapters.state_dict())
        if classifier.text_adapters is not None:
            write_tensors(new / TEXT_ADAPTER_FILE, classifier.text_adapters.state_dict())
        config = {"model_cfg": card.base.model_cfg, "preprocess_cfg": card.preprocess.to_json()}
        (new / OPEN_CLIP_CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
        files = {file.name: file_digest(file) for file in sorted(new.iterdir())}
        (new / CHECKPOINT_FILE).write_text(signed_json({**card.to_json(), "files": files}), encoding="utf-8")


def load_classifier(checkpoint: Path, device: torch.device) -> Loaded:
    """The classifier in a checkpoint folder, verified file by file.

    Raises CheckpointError where it is damaged, of another format, or its base model is not the one it belongs to.
    """
    meta = read_card(checkpoint)
    verify_files(checkpoint, meta)
    return load_verified(checkpoint, meta, device)


def load_verified(checkpoint: Path, meta: dict[str, Any], device: torch.device) -> Loaded:
    """`load_classifier` for one whose card was read and whose files were verified."""
    card = card_of(checkpoint, meta)
    try:
        if METHODS[card.method].saves_tower and TOWER_FILE not in meta["files"]:  # type: ignore[index]
            raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it does not list {TOWER_FILE}")
        return put_together(checkpoint, meta, card, _tower(checkpoint, card), device)
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        raise does_not_fit(checkpoint, error) from error


def load_zero_shot(model: ModelConfig, data: DataConfig, manifest: Manifest, device: torch.device) -> Loaded:
    """The untouched pretrained model with a head of class prompts for the classes of `manifest`."""
    backbone = load_backbone(model)
    templates = choose_templates(data.templates, backbone.base.name)
    card = Card(
        method="zero_shot",
        base=backbone.base,
        preprocess=backbone.preprocess,
        classes=manifest.classes,
        templates=templates,
        head="cosine",
        lora=None,
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
    if (checkpoint / TOWER_FILE).is_file():
        backbone.model.load_state_dict(load_file(checkpoint / TOWER_FILE))
    if card.lora is not None:
        adapters = text_adapters(backbone.model, card.lora)
        adapters.load_state_dict(load_file(checkpoint / TEXT_ADAPTER_FILE))
        adapters.merge_into(text_tower(backbone.model))
    return text_head(backbone, classes, templates)


def _tower(checkpoint: Path, card: Card) -> torch.nn.Module:
    if not METHODS[card.method].saves_tower:  # type: ignore[index]
        return _base_of(checkpoint, card)
    check_model_cfg(card.base.model_cfg, str(checkpoint / CHECKPOINT_FILE))
    clip = build_untrained(card.base.model_cfg)
    clip.load_state_dict(load_file(checkpoint / TOWER_FILE))
    has_quick_gelu = any(type(module).__name__ == "QuickGELU" for module in clip.modules())
    if has_quick_gelu != card.base.quick_gelu:
        raise CheckpointError(f"{checkpoint}: the activation built (QuickGELU: {has_quick_gelu}) is not its own")
    return clip


def _base_of(checkpoint: Path, card: Card) -> torch.nn.Module:
    cache_dir = Path(card.base.cache_dir) if card.base.cache_dir else None
    backbone = load_backbone(ModelConfig(name=card.base.name, pretrained=card.base.pretrained, cache_dir=cache_dir))
    if backbone.base.weights_sha256 != card.base.weights_sha256:
        raise CheckpointError(
            f"{checkpoint}: belongs to another base model: the weights of {card.base.name}"
            f" ({card.base.pretrained or 'its own'}) found here have a different digest",
            hint="restore the weights this run was trained with",
        )
    return backbone.model
