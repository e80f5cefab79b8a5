"""A run as the start of another one: all of its model as a pretrained model, and its head."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ...config.methods import LoraConfig
from ...config.model import ModelConfig
from ...errors import ClipftError
from ..files.digest import file_digest
from ..files.tensors import read_into, write_tensors
from ..files.write import replaced_folder
from ..methods import METHODS
from ..methods.lora import text_adapters
from ..model.backbone import Backbone, load_backbone
from ..model.classifier import Head
from ..model.layers import text_tower
from ..model.weights_file import weights_digest
from ..run_dir import (
    CHECKPOINT_FILE,
    HEAD_FILE,
    OPEN_CLIP_CONFIG_FILE,
    TEXT_ADAPTER_FILE,
    TOWER_FILE,
    RunDir,
    find_checkpoint,
)
from .card import Card, card_of, does_not_fit, read_whole
from .load import load_base, put_together, read_head


@dataclass(frozen=True)
class Parent:
    """The run that another one starts from: its checkpoint, and what is in it."""

    checkpoint: Path
    card: Card
    head: Head


def parent_of(model: ModelConfig) -> Path | None:
    """The checkpoint that `model.name` means, where it is a run of this project or a checkpoint of one."""
    folder = Path(model.name)
    if not folder.is_dir() or model.pretrained is not None:
        return None
    is_ours = (folder / CHECKPOINT_FILE).is_file() or RunDir(folder).config.is_file()
    return find_checkpoint(folder) if is_ours else None


def open_pretrained(model: ModelConfig, kept: Path | None = None) -> tuple[Parent | None, Backbone]:
    """The model that `model` names, and the run that it is of, where it is one's; `kept` as for `open_parent`.

    Raises CheckpointError, and what `load_backbone` raises.
    """
    place = parent_of(model)
    return open_parent(place, kept) if place is not None else (None, load_backbone(model))


def open_parent(checkpoint: Path, kept: Path | None = None) -> tuple[Parent, Backbone]:
    """The run, and its model: the base as it was, with all that was trained on it; adapters are merged into it.

    A model that is nowhere on disk as it is has no name: `write_model` gives it one, and `kept` is where it then
    is read from. Raises CheckpointError.
    """
    meta = read_whole(checkpoint)
    card = card_of(checkpoint, meta)
    try:
        head = read_head(checkpoint / HEAD_FILE, card.head, (len(card.classes), int(card.base.model_cfg["embed_dim"])))
        is_kept = kept is not None and kept.is_dir()
        backbone = load_backbone(ModelConfig(name=str(kept))) if is_kept else _backbone(checkpoint, meta, card)
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        raise does_not_fit(checkpoint, error) from error
    return Parent(checkpoint, card, head), replace(backbone, preprocess=card.preprocess)


def _backbone(checkpoint: Path, meta: dict[str, object], card: Card) -> Backbone:
    if METHODS[card.method].writes_whole_model:
        return load_backbone(ModelConfig(name=str(checkpoint)))
    backbone = load_base(checkpoint, card)
    before, visual = backbone.base.weights_sha256, backbone.model.visual
    assert isinstance(visual, nn.Module)
    loaded = put_together(checkpoint, meta, card, backbone.model, torch.device("cpu"))
    if loaded.classifier.adapters is not None:
        loaded.classifier.adapters.merge_into(visual)
    if (checkpoint / TEXT_ADAPTER_FILE).is_file() and isinstance(card.settings, LoraConfig):
        adapters = text_adapters(backbone.model, card.settings)
        read_into(adapters, checkpoint / TEXT_ADAPTER_FILE)
        adapters.merge_into(text_tower(backbone.model))
    after = weights_digest(backbone.model)
    if after == before:
        return backbone
    base = replace(backbone.base, name="", pretrained=None, weights_sha256=after, file=None, file_sha256=None)
    return replace(backbone, base=base)


def write_model(folder: Path, backbone: Backbone) -> Backbone:
    """A model without a name written into `folder`, as open_clip loads it; any other as it is. Raises OSError."""
    if backbone.base.name:
        return backbone
    with replaced_folder(folder) as new:
        write_tensors(new / TOWER_FILE, _tensors(backbone.model))
        config = {"model_cfg": backbone.base.model_cfg, "preprocess_cfg": backbone.preprocess.to_json()}
        (new / OPEN_CLIP_CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
    file = folder.resolve() / TOWER_FILE
    base = replace(backbone.base, name=str(folder.resolve()), file=str(file), file_sha256=file_digest(file))
    return replace(backbone, base=base)


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
