"""What `clipft evaluate` measures, whoever computes it: here a checkpoint or a pretrained model, by torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config.evaluate import EvaluateConfig
from ..events import OnEvent
from ..images.measured_split import MeasuredSplit
from ..images.transforms import Preprocess
from ..labels.class_names import ClassInfo
from ..labels.templates import choose_templates
from ..machine.hardware import worker_count
from ..manifest import Manifest
from .card import Card, card_of
from .opened import opened
from .subject import Subject

if TYPE_CHECKING:
    import torch

    from .load import Loaded


@dataclass(frozen=True)
class Measurable:
    """A model ready to be measured. `facts` say what it is; `logits(images, batch size, on_event)` are (N, C) float32
    in the order of the images, before the `temperature`.
    """

    classes: tuple[ClassInfo, ...]
    preprocess: Preprocess
    temperature: float
    facts: Mapping[str, Any]
    device: str
    precision: str
    logits: Callable[[MeasuredSplit, int | None, OnEvent], np.ndarray]


def measurable_model(subject: Subject, config: EvaluateConfig, manifest: Manifest) -> Measurable:
    """The model to measure. Raises CheckpointError or ModelError."""
    from ..images.loader import Loader  # torch, which an export does without
    from ..model.inference import Inference, split_logits, usual_batch
    from ..model.precision import device_label, set_up

    card = card_of(subject.checkpoint, subject.meta) if subject.checkpoint is not None else None
    precision = set_up(config.hardware, card.precision if card is not None else None)
    loaded = _load(subject, card, config, manifest, precision.device)

    def logits(images: MeasuredSplit, batch_size: int | None, on_event: OnEvent) -> np.ndarray:
        size = batch_size or usual_batch(precision.device)
        with contextlib.closing(Loader(worker_count(config.data.num_workers))) as loader:
            inference = Inference(loader, precision, size, on_event)
            return split_logits(loaded.classifier, images, inference, config.evaluate.split).numpy()

    return Measurable(
        loaded.classes,
        loaded.preprocess,
        loaded.temperature,
        _card_facts(loaded.card, subject),
        device_label(precision.device),
        precision.name,
        logits,
    )


def _load(
    subject: Subject, card: Card | None, config: EvaluateConfig, manifest: Manifest, device: torch.device
) -> Loaded:
    """The classifier to measure, of the checkpoint that `card` describes. Raises CheckpointError or ModelError."""
    from .load import load_base

    if subject.checkpoint is not None and not subject.is_zero_shot:
        with opened(subject.checkpoint, config.evaluate.base, subject.meta) as files:
            return files.load(device)

    from ..model.backbone import load_backbone  # open_clip, which a plain ViT does without
    from .zero_shot import zero_shot

    if subject.checkpoint is None or card is None:
        backbone = load_backbone(config.model)
        backbone = replace(backbone, preprocess=backbone.preprocess.resizing(config.data.resize))
        return zero_shot(backbone, choose_templates(config.data.templates, backbone.base.name), manifest, device)
    backbone = replace(load_base(subject.checkpoint, card, config.evaluate.base), preprocess=card.preprocess)
    return zero_shot(backbone, card.templates, manifest, device)


def _card_facts(card: Card, subject: Subject) -> dict[str, Any]:
    return {
        "method": card.method,
        "label": "zero-shot" if subject.is_zero_shot else card.label,
        "kept": card.kept.to_json() if card.kept is not None and not subject.is_zero_shot else None,
        "model": card.base.name,
        "pretrained": card.base.pretrained,
        "weights_digest": card.base.weights_sha256,
        "epoch": card.epoch,
        "selected_on": card.selected_on,
    }
