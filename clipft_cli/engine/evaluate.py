"""`clipft evaluate`: a checkpoint, or the untouched pretrained model, measured on one split."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..config.commands import EvaluateConfig
from ..config.model import TrainedIn
from ..errors import ModelError
from .checkpoint.card import card_of
from .checkpoint.load import Loaded, load_base
from .checkpoint.opened import opened
from .checkpoint.subject import Subject, choose_subject, data_dir_of, is_other_data, match_classes, reports_dir
from .events import Note, OnEvent
from .files.publish import publish, staging_folder
from .files.visible import visible
from .images.loader import Loader
from .images.measured_split import MeasuredSplit
from .labels.templates import choose_templates
from .machine.hardware import worker_count
from .manifest import Manifest, Row, read_manifest
from .metrics.answers import Answers
from .metrics.metrics import measure
from .metrics.scores import Scores
from .model.inference import split_logits, usual_batch
from .model.precision import Precision, device_label, set_up
from .pages.evaluation import RESULTS_FILE, Evaluation, evaluation_files
from .preparation.changes import find_changes


def evaluate(config: EvaluateConfig, on_event: OnEvent = lambda event: None) -> Evaluation:
    """Measure on one split, and write the reports. Raises ClipftError of the kind of what is wrong."""
    subject = choose_subject(config)
    manifest = read_manifest(data_dir_of(config, subject))
    rows = manifest.split(config.evaluate.split)
    notes = _notes(config, subject, manifest, rows, on_event)
    target = reports_dir(config, subject)
    with staging_folder(target) as staging:
        precision = set_up(config.hardware, _trained_in(subject))
        loaded = _load(subject, config, manifest, precision.device)
        index_of = match_classes(manifest, loaded.classes, subject)
        on_event(Note(f"measuring on {device_label(precision.device)}, {precision.name}"))
        images = MeasuredSplit(manifest, rows, loaded.preprocess, max_bad_share=config.data.max_bad_share)
        logits, seconds = _logits(config, loaded, images, precision, on_event)
        images.refuse_too_many()
        facts = {
            **_facts(subject, loaded, manifest),
            "device": device_label(precision.device),
            "precision": precision.name,
            "seconds": round(seconds, 3),
            "images_per_second": round(len(rows) / max(seconds, 1e-9), 1),
        }
        scores = _scores(logits, index_of[images.labels], images, loaded, {**facts, "split": config.evaluate.split})
        temperature = loaded.temperature
        names = [(info.name, info.readable) for info in loaded.classes]
        evaluation = Evaluation(
            split=config.evaluate.split,
            metrics=measure(Answers(scores.logits, scores.labels, temperature), names, seed=config.seed),
            scores=scores,
            paths=tuple(rows[index].path for index in scores.indexes),
            unreadable=tuple(images.unreadable),
            notes=notes,
            temperature=temperature,
            facts=facts,
            output_dir=target,
        )
        publish(staging, evaluation_files(evaluation), last=RESULTS_FILE)
    _warn_of_unreadable(evaluation, on_event)
    return evaluation


def _load(subject: Subject, config: EvaluateConfig, manifest: Manifest, device: torch.device) -> Loaded:
    """The classifier to measure. Raises CheckpointError or ModelError."""
    if subject.checkpoint is not None and not subject.is_zero_shot:
        with opened(subject.checkpoint, config.evaluate.base) as files:
            return files.load(device)

    from .checkpoint.zero_shot import zero_shot  # open_clip, which a plain ViT does without
    from .model.backbone import load_backbone

    if subject.checkpoint is None:
        backbone = load_backbone(config.model)
        backbone = replace(backbone, preprocess=backbone.preprocess.resizing(config.data.resize))
        return zero_shot(backbone, choose_templates(config.data.templates, backbone.base.name), manifest, device)
    card = card_of(subject.checkpoint, subject.meta)
    backbone = replace(load_base(subject.checkpoint, card, config.evaluate.base), preprocess=card.preprocess)
    return zero_shot(backbone, card.templates, manifest, device)


def _trained_in(subject: Subject) -> TrainedIn | None:
    return None if subject.checkpoint is None else card_of(subject.checkpoint, subject.meta).precision


def _notes(
    config: EvaluateConfig, subject: Subject, manifest: Manifest, rows: Sequence[Row], on_event: OnEvent
) -> tuple[str, ...]:
    """What a reader of the figures must know; said now, and kept in the reports."""
    is_default = config.evaluate.checkpoint is None and subject.checkpoint is not None
    on_event(Note(f"evaluating {subject.label}" + (", of the newest finished run" if is_default else "")))
    warnings = []
    changes = find_changes(manifest)
    if changes:
        warnings.append(changes.describe())
    if not subject.is_zero_shot and is_other_data(subject, manifest):
        warnings.append(
            f"{manifest.root} is not the data set this run was trained on, or has been prepared again since:"
            " images of this split may have been trained on"
        )
    present = {row.label for row in rows}
    missing = [visible(info.name) for label, info in enumerate(manifest.classes) if label not in present]
    if missing:
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        warnings.append(f"this split has no image of {named}; macro means leave out what has none")
    for text in warnings:
        on_event(Note(text, is_warning=True))
    if config.evaluate.split == "train":
        warnings.append("these images were trained on: the figures say nothing about new images")
    if config.evaluate.split == "val":
        warnings.append("val chose the checkpoint: its figures are a little too good, test's are not")
    return tuple(warnings)


def _logits(
    config: EvaluateConfig, loaded: Loaded, images: MeasuredSplit, precision: Precision, on_event: OnEvent
) -> tuple[np.ndarray, float]:
    """(N, C) float32, and the seconds it took."""
    batch_size = config.evaluate.batch_size or usual_batch(precision.device)
    started = time.perf_counter()
    with contextlib.closing(Loader(worker_count(config.data.num_workers))) as loader:
        logits = split_logits(
            loaded.classifier, images, loader, precision, batch_size, on_event, config.evaluate.split
        ).numpy()
    return logits, time.perf_counter() - started


def _scores(
    logits: np.ndarray, labels: np.ndarray, images: MeasuredSplit, loaded: Loaded, facts: Mapping[str, Any]
) -> Scores:
    """What could be read, in manifest order. Raises ModelError where logits are not finite."""
    kept = np.array([index for index in range(len(images)) if index not in images.bad], dtype=np.int64)
    if not np.isfinite(logits[kept]).all():
        raise ModelError(
            "the model gives scores that are not finite",
            hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
        )
    facts = {**facts, "temperature": loaded.temperature, "classes": [info.name for info in loaded.classes]}
    return Scores(logits[kept], labels[kept], kept, facts)


def _facts(subject: Subject, loaded: Loaded, manifest: Manifest) -> dict[str, Any]:
    card = loaded.card
    return {
        "method": card.method,
        "label": "zero-shot" if subject.is_zero_shot else card.label,
        "kept": card.kept.to_json() if card.kept is not None and not subject.is_zero_shot else None,
        "model": card.base.name,
        "pretrained": card.base.pretrained,
        "is_zero_shot": subject.is_zero_shot,
        "checkpoint": str(subject.checkpoint) if subject.checkpoint is not None else None,
        "checkpoint_digest": subject.digest,
        "weights_digest": card.base.weights_sha256,
        "epoch": card.epoch,
        "selected_on": card.selected_on,
        "data_dir": str(manifest.root),
        "data_name": manifest.name,
        "manifest_digest": manifest.digest,
        "is_training_data_set": not is_other_data(subject, manifest),
    }


def _warn_of_unreadable(evaluation: Evaluation, on_event: OnEvent) -> None:
    n = len(evaluation.unreadable)
    if n:
        path, reason = evaluation.unreadable[0]
        more = f" and {n - 1} more" if n > 1 else ""
        on_event(Note(f"left out, cannot be read: {visible(path)} ({visible(reason)}){more}", is_warning=True))
