"""What a reader of an evaluation's figures must know: said while it is measured, and kept in the reports."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.evaluate import EvaluateConfig
from ..events import Note, OnEvent
from ..files.amounts import count
from ..manifest import Manifest, Row
from ..preparation.changes import find_changes
from ..preparation.in_memory import MeasuredData
from .class_match import ClassMatch, listed
from .measurable import Measurable
from .seen_images import NO_LIST, list_of, n_trained_on
from .subject import Subject, is_other_data


def data_notes(
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
    return [f"{n_seen:,} of these {count(n, 'image')} were trained on: the figures are too good"] if n_seen else []


def class_notes(
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
