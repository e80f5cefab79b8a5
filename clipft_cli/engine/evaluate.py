"""`clipft evaluate`: a checkpoint, or the untouched pretrained model, measured on one split."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..config.evaluate import EvaluateConfig
from ..errors import CheckpointError, DataError, ModelError
from .checkpoint.caveats import class_notes, data_notes
from .checkpoint.class_match import ClassMatch, listed, match_classes
from .checkpoint.measurable import Measurable, measurable_model
from .checkpoint.subject import Subject, data_dir_of, is_other_data, reports_dir
from .events import Note, OnEvent, unheard
from .exports.measurable import measurable_export, subject_of
from .files.places import from_here
from .files.publish import publish, staging_folder
from .files.visible import visible
from .images.measured_split import MeasuredSplit
from .manifest import Manifest, Row
from .metrics.answers import Answers
from .metrics.metrics import measure
from .metrics.never_answered import never_answered, told_of
from .metrics.present import top1_among_present
from .metrics.scores import SCORES_FILE, Scores, read_scores
from .pages.evaluation import RESULTS_FILE, Evaluation, evaluation_files
from .pages.model_card import Measured, add_figures
from .pages.run_report import Shown, run_report
from .preparation.in_memory import MeasuredData, measured_data
from .run_dir import RunDir, is_export
from .runs.history import read_history


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
    notes = data_notes(config, subject, data, rows, on_event)
    target = reports_dir(config, subject, manifest)
    with staging_folder(target) as staging:
        model = _model(subject, config, manifest, on_event)
        match = match_classes(manifest, model.classes, subject)
        known = _of_known_classes(rows, match, manifest)  # (N,) positions in rows
        notes += class_notes(rows, match, manifest, model, on_event)
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
            example=str(from_here(manifest.file(rows[_surest_mistake(scores)]))),
        )
        shown = Shown(
            files=[manifest.file(rows[index]) for index in scores.indexes],
            history=_history(subject),
            val=_val_scores(evaluation),
        )
        publish(staging, evaluation_files(evaluation, partial(run_report, shown=shown)), last=RESULTS_FILE)
    return evaluation


def _history(subject: Subject) -> tuple[Mapping[str, Any], ...]:
    """What its run wrote after each epoch."""
    if subject.checkpoint is None or subject.is_zero_shot:
        return ()
    return read_history(RunDir(subject.checkpoint.parent).metrics)


def _val_scores(evaluation: Evaluation) -> Scores | None:
    """What the same checkpoint answered on val, where that is measured and lies beside this evaluation of test."""
    place, other = evaluation.output_dir, evaluation.output_dir.name.replace("evaluation-test", "evaluation-val", 1)
    if evaluation.split != "test" or other == place.name:
        return None
    found = read_scores(place.with_name(other) / SCORES_FILE)
    same = ("checkpoint_digest", "manifest_digest", "is_zero_shot", "classes")
    facts = evaluation.scores.facts
    return found if found is not None and all(found.facts.get(key) == facts.get(key) for key in same) else None


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


def _model(subject: Subject, config: EvaluateConfig, manifest: Manifest, on_event: OnEvent) -> Measurable:
    if subject.checkpoint is not None and is_export(subject.checkpoint):
        return measurable_export(subject.checkpoint, config, on_event)
    return measurable_model(subject, config, manifest)


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

    Raises CheckpointError where logits are not finite, ModelError where they are the pretrained model's.
    """
    kept = np.array([index for index in range(len(images)) if index not in images.bad], dtype=np.int64)
    if not np.isfinite(logits[kept]).all():
        checkpoint = facts["checkpoint"]
        kind, named = (ModelError, "") if checkpoint is None else (CheckpointError, f"{checkpoint}: ")
        raise kind(
            f"{named}the model gives scores that are not finite",
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
        "data_dir": str(from_here(manifest.root)),
        "data_name": manifest.name,
        "is_prepared": data.is_prepared,
        "manifest_digest": manifest.digest,
        "is_training_data_set": not is_other_data(subject, manifest),
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
