"""`clipft evaluate`: a checkpoint, or the untouched pretrained model, measured on one split."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config.evaluate import EvaluateConfig
from ..config.model import TrainedIn
from ..errors import DataError, ModelError
from .checkpoint.card import Card, card_of
from .checkpoint.class_match import ClassMatch, listed, match_classes
from .checkpoint.opened import opened
from .checkpoint.seen_images import NO_LIST, list_of, n_trained_on
from .checkpoint.subject import Subject, data_dir_of, is_other_data, reports_dir
from .events import Note, OnEvent, unheard
from .exports.measurable import Measurable, measurable_export, subject_of
from .files.publish import publish, staging_folder
from .files.visible import visible
from .images.measured_split import MeasuredSplit
from .labels.templates import choose_templates
from .machine.hardware import worker_count
from .manifest import Manifest, Row
from .metrics.answers import Answers
from .metrics.metrics import measure
from .metrics.never_answered import never_answered, told_of
from .metrics.present import top1_among_present
from .metrics.scores import Scores
from .pages.evaluation import RESULTS_FILE, Evaluation, evaluation_files
from .pages.model_card import Measured, add_figures
from .preparation.changes import find_changes
from .preparation.in_memory import MeasuredData, measured_data
from .run_dir import is_export

if TYPE_CHECKING:
    import torch

    from .checkpoint.load import Loaded


def evaluate(config: EvaluateConfig, on_event: OnEvent = unheard) -> Evaluation:
    """Measure on one split, and write the reports. Raises ClipftError of the kind of what is wrong."""
    subject = subject_of(config)
    with measured_data(data_dir_of(config, subject), config) as data:
        evaluation = _measure(config, subject, data, on_event)
    _note_on_card(subject, evaluation)
    _warn_of_unreadable(evaluation, on_event)
    return evaluation


def _measure(config: EvaluateConfig, subject: Subject, data: MeasuredData, on_event: OnEvent) -> Evaluation:
    """The evaluation, its files written."""
    manifest, split = data.manifest, config.evaluate.split
    rows = manifest.split(split)
    notes = _notes(config, subject, data, rows, on_event)
    target = reports_dir(config, subject, manifest)
    with staging_folder(target) as staging:
        model = _model(subject, config, manifest)
        match = match_classes(manifest, model.classes, subject)
        known = _of_known_classes(rows, match, manifest)  # (N,) positions in rows
        notes += _class_notes(rows, match, manifest, model, on_event)
        on_event(Note(f"measuring on {model.device}, {model.precision}"))
        measured = [rows[position] for position in known]
        images = MeasuredSplit(manifest, measured, model.preprocess, max_bad_share=config.data.max_bad_share)
        started = time.perf_counter()
        logits = model.logits(images, config.evaluate.batch_size, on_event)
        seconds = time.perf_counter() - started
        images.refuse_too_many()
        facts = {
            **_facts(subject, model, data),
            "classes_unknown_to_the_model": list(match.unknown),
            "device": model.device,
            "precision": model.precision,
            "seconds": round(seconds, 3),
            "images_per_second": round(len(measured) / max(seconds, 1e-9), 1),
        }
        labels = match.index[images.labels]
        scores = _scores(logits, images, model, {**facts, "split": split}, labels=labels, positions=known)
        names = [(info.name, info.readable) for info in model.classes]
        if never := never_answered(scores.logits, scores.labels, [name for name, _ in names]):
            notes += (told_of(never, split, balance_may_help=not subject.is_zero_shot),)
            on_event(Note(notes[-1], is_warning=True))
        evaluation = Evaluation(
            split=split,
            metrics=measure(Answers(scores.logits, scores.labels, model.temperature), names, seed=config.seed),
            scores=scores,
            paths=tuple(rows[index].path for index in scores.indexes),
            unreadable=tuple(images.unreadable),
            notes=notes,
            temperature=model.temperature,
            facts=facts,
            output_dir=target,
            top1_among_present=top1_among_present(scores),
            example=str(manifest.file(rows[_surest_mistake(scores)])),
        )
        publish(staging, evaluation_files(evaluation), last=RESULTS_FILE)
    return evaluation


def _surest_mistake(scores: Scores) -> int:
    """The image (its position in the split) that is most worth a look: the mistake the model was surest of."""
    shares = scores.probabilities(1.0)
    sure = shares.max(axis=1) + (shares.argmax(axis=1) != scores.labels)  # any mistake before any right answer
    return int(scores.indexes[int(sure.argmax())])


def _of_known_classes(rows: Sequence[Row], match: ClassMatch, manifest: Manifest) -> np.ndarray:
    """(N,) positions of the rows whose class the model knows. Raises DataError where there is none."""
    known = np.flatnonzero(match.index[[row.label for row in rows]] >= 0)
    if not len(known):
        raise DataError(
            f"{manifest.root}: no image of this split is of a class that the model knows"
            f" (its classes: {listed(match.unknown)})",
            hint="classes are matched by name: give the folders the names of the model's classes",
        )
    return known


def _class_notes(
    rows: Sequence[Row], match: ClassMatch, manifest: Manifest, model: Measurable, on_event: OnEvent
) -> tuple[str, ...]:
    """How the classes of the data set and of the model meet, where they are not the same; said now."""
    notes = list(match.notes)
    n_unknown = sum(match.index[row.label] < 0 for row in rows)
    if match.unknown:
        notes.append(
            f"the model does not know {listed(match.unknown)}: {n_unknown:,} of {len(rows):,} images are in no figure"
        )
    present = {int(match.index[row.label]) for row in rows}
    missing = [info.name for number, info in enumerate(model.classes) if number not in present]
    if missing:
        notes.append(
            f"this split has no image of {listed(missing)}; macro means leave out what has none, and top-1 is given"
            f" among all {len(model.classes)} classes of the model and among the {len(model.classes) - len(missing)}"
            " that have images"
        )
    for text in notes:
        on_event(Note(text, is_warning=True))
    return tuple(notes)


def _model(subject: Subject, config: EvaluateConfig, manifest: Manifest) -> Measurable:
    """The model to measure. Raises CheckpointError or ModelError."""
    if subject.checkpoint is not None and is_export(subject.checkpoint):
        return measurable_export(subject.checkpoint, config)

    from .images.loader import Loader  # torch, which an export does without
    from .model.inference import Inference, split_logits, usual_batch
    from .model.precision import device_label, set_up

    precision = set_up(config.hardware, _trained_in(subject))
    loaded = _load(subject, config, manifest, precision.device)

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


def _load(subject: Subject, config: EvaluateConfig, manifest: Manifest, device: torch.device) -> Loaded:
    """The classifier to measure. Raises CheckpointError or ModelError."""
    from .checkpoint.load import load_base

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
    config: EvaluateConfig, subject: Subject, data: MeasuredData, rows: Sequence[Row], on_event: OnEvent
) -> tuple[str, ...]:
    """What a reader of the figures must know; said now, and kept in the reports."""
    is_default = config.evaluate.checkpoint is None and subject.checkpoint is not None
    on_event(Note(f"evaluating {subject.label}" + (", of the newest finished run" if is_default else "")))
    manifest = data.manifest
    warnings = list(data.warnings)
    if data.is_prepared and (changes := find_changes(manifest)):
        warnings.append(changes.describe())
    if not data.is_prepared:
        on_event(Note(f"{manifest.root} is no prepared data set: its {len(rows):,} images are measured as they are"))
    if not subject.is_zero_shot:
        warnings += _seen_before(
            n_trained_on(config, subject, rows, is_own=not is_other_data(subject, manifest)), len(rows), manifest
        )
        known = list_of(subject)
        if known is None and subject.checkpoint is not None:
            on_event(Note(f"{subject.checkpoint} {NO_LIST}"))
        elif known is not None and not known.is_whole:
            warnings.append(f"a run before {subject.checkpoint} {NO_LIST}")
    for text in warnings:
        on_event(Note(text, is_warning=True))
    if config.evaluate.split == "train":
        warnings.append("these images were trained on: the figures say nothing about new images")
    if config.evaluate.split == "val":
        warnings.append("val chose the checkpoint: its figures are a little too good, test's are not")
    return tuple(warnings)


def _seen_before(n_seen: int | None, n: int, manifest: Manifest) -> list[str]:
    if n_seen is None:
        return [
            f"{manifest.root} is not the data set this run was trained on, or has been prepared again since:"
            " images of this split may have been trained on"
        ]
    return [f"{n_seen:,} of these {n:,} images were trained on: the figures are too good"] if n_seen else []


def _scores(
    logits: np.ndarray,
    images: MeasuredSplit,
    model: Measurable,
    facts: Mapping[str, Any],
    *,
    labels: np.ndarray,
    positions: np.ndarray,
) -> Scores:
    """What could be read, in manifest order; `positions` (N,) are those of the images in it.

    Raises ModelError where logits are not finite.
    """
    kept = np.array([index for index in range(len(images)) if index not in images.bad], dtype=np.int64)
    if not np.isfinite(logits[kept]).all():
        raise ModelError(
            "the model gives scores that are not finite",
            hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
        )
    facts = {**facts, "temperature": model.temperature, "classes": [info.name for info in model.classes]}
    return Scores(logits[kept], labels[kept], positions[kept], facts)


def _facts(subject: Subject, model: Measurable, data: MeasuredData) -> dict[str, Any]:
    manifest = data.manifest
    return {
        **model.facts,
        "is_zero_shot": subject.is_zero_shot,
        "checkpoint": str(subject.checkpoint) if subject.checkpoint is not None else None,
        "checkpoint_digest": subject.digest,
        "data_dir": str(manifest.root),
        "data_name": manifest.name,
        "is_prepared": data.is_prepared,
        "manifest_digest": manifest.digest,
        "is_training_data_set": not is_other_data(subject, manifest),
    }


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


def _note_on_card(subject: Subject, evaluation: Evaluation) -> None:
    """The figures join those on the page of the model that was measured."""
    if subject.checkpoint is None or subject.is_zero_shot:
        return
    facts = evaluation.facts
    note = "" if facts["is_training_data_set"] else ", other data than it was trained on"
    add_figures(
        subject.checkpoint,
        Measured(evaluation.split, facts["data_name"], facts["manifest_digest"], evaluation.metrics, note),
    )


def _warn_of_unreadable(evaluation: Evaluation, on_event: OnEvent) -> None:
    n = len(evaluation.unreadable)
    if n:
        path, reason = evaluation.unreadable[0]
        more = f" and {n - 1} more" if n > 1 else ""
        on_event(Note(f"left out, cannot be read: {visible(path)} ({visible(reason)}){more}", is_warning=True))
