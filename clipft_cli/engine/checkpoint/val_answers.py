"""What a model makes of val, which it was never trained on: measured once, and kept beside the checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...config.data import DataConfig
from ...config.evaluate import EvaluateConfig, EvaluateOptions
from ...errors import CheckpointError, DataError
from ..files.amounts import count
from ..files.regular import as_regular
from ..files.write import write_bytes
from ..images.loader import Loader
from ..images.measured_split import MeasuredSplit
from ..labels.class_names import ClassInfo
from ..machine.hardware import worker_count
from ..manifest import Manifest, Row, read_manifest
from ..model.classifier import directions
from ..model.inference import Inference, split_features, usual_batch
from ..model.precision import Precision
from .class_match import match_classes
from .load import Loaded
from .subject import Subject, choose_subject, data_dir_of, is_other_data, place_in_run
from .trained_on import N_DIGITS, trained_on

NAME = "val-answers"
MAX_IMAGES = 10_000
"""More images of val would make what is fitted no surer than half a percent, and the file and the wait long."""


@dataclass(frozen=True)
class ValAnswers:
    """Of the images of val that could be read: `features` (N, D) float32, rows of length 1, `logits` (N, C) float32
    before the temperature, `labels` (N,) int64 of the model's classes."""

    features: np.ndarray
    logits: np.ndarray
    labels: np.ndarray

    def classes_without(self, classes: Sequence[ClassInfo]) -> list[str]:
        """Names of the classes that val has no image of."""
        present = set(self.labels.tolist())
        return [info.name for number, info in enumerate(classes) if number not in present]


def val_answers(
    checkpoint: Path,
    data_dir: Path | None,
    loaded: Loaded,
    precision: Precision,
    on_note: Callable[[str], None] = lambda text: None,
) -> ValAnswers:
    """Of val of the data set that the run was trained on, or of the one in `data_dir`.

    Images that the model was trained on are left out. Raises DataError where there is no such data set or no image is
    left, CheckpointError where the model gives no finite answers.
    """
    config = EvaluateConfig(evaluate=EvaluateOptions(checkpoint=checkpoint, split="val", data_dir=data_dir))
    subject = choose_subject(config)
    place = place_in_run(checkpoint, NAME)
    place = place.with_name(f"{place.name}.safetensors")
    shape = len(loaded.classes), loaded.classifier.head.weight.shape[1]
    if data_dir is None and (kept := _kept(place, subject.digest or "", shape)) is not None:
        return kept
    manifest = read_manifest(data_dir_of(config, subject))
    rows = _unseen(manifest, subject, checkpoint, on_note)
    on_note(f"{count(len(rows), 'image')} of val in {manifest.root} are looked at first")
    answers = _measured(manifest, rows, subject, loaded, precision)
    if data_dir is None:
        with contextlib.suppress(OSError):  # a run that nobody may write to is asked again next time
            write_bytes(place, _bytes(answers, subject.digest or ""))
    return answers


def _unseen(manifest: Manifest, subject: Subject, checkpoint: Path, on_note: Callable[[str], None]) -> list[Row]:
    rows: Sequence[Row] = manifest.split("val")
    known = trained_on(checkpoint)
    if known is not None:
        rows = [row for row in rows if row.sha256[:N_DIGITS] not in known.digests]
    elif is_other_data(subject, manifest):
        on_note(f"{manifest.root} is not what this run was trained on: images of its val may have been trained on")
    if not rows:
        raise DataError(
            f"{manifest.root}: val has no image that the model was not trained on",
            hint="name a prepared data set whose val it has not seen: --data-dir DIR",
        )
    if len(rows) > MAX_IMAGES:
        chosen = np.random.default_rng(0).choice(len(rows), MAX_IMAGES, replace=False)
        rows = [rows[index] for index in np.sort(chosen)]
    return list(rows)


def _measured(
    manifest: Manifest, rows: Sequence[Row], subject: Subject, loaded: Loaded, precision: Precision
) -> ValAnswers:
    match = match_classes(manifest, loaded.classes, subject)
    rows = [row for row in rows if match.index[row.label] >= 0]
    if not rows:
        raise DataError(f"{manifest.root}: no image of val is of a class that the model knows")
    images = MeasuredSplit(manifest, rows, loaded.preprocess, max_bad_share=DataConfig().max_bad_share)
    with contextlib.closing(Loader(worker_count("auto"))) as loader:
        inference = Inference(loader, precision, usual_batch(precision.device))
        features = split_features(loaded.classifier, images, inference)  # (N, D)
    images.refuse_too_many()
    kept = [index for index in range(len(images)) if index not in images.bad]
    with torch.inference_mode():
        unit = directions(features[kept]).numpy()
        logits = loaded.classifier.head(features[kept].to(precision.device)).float().cpu().numpy()
    if not (np.isfinite(unit).all() and np.isfinite(logits).all()):
        raise CheckpointError(
            f"{subject.checkpoint}: the model gives no finite answers for val",
            hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
        )
    return ValAnswers(unit, logits, match.index[images.labels][kept])


def told(answers: ValAnswers, classes: Sequence[ClassInfo]) -> str | None:
    """What a reader of a fit on val must know: the classes that it has no image of; None where it has all."""
    missing = answers.classes_without(classes)
    if not missing:
        return None
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    lead = count(len(missing), "class has", "classes have")
    return f"{lead} no image in val ({', '.join(missing[:3])}{more}): what is fitted on val does not hold for them"


def _bytes(answers: ValAnswers, checkpoint_digest: str) -> bytes:
    tensors = {"features": answers.features, "logits": answers.logits, "labels": answers.labels}
    return save(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, {"checkpoint": checkpoint_digest}
    )


def _kept(place: Path, checkpoint_digest: str, shape: tuple[int, int]) -> ValAnswers | None:
    """What an earlier call has kept of this very checkpoint; None where that is not there, or is damaged."""
    try:
        with safe_open(as_regular(place), "numpy") as file:
            is_ours = (file.metadata() or {}).get("checkpoint") == checkpoint_digest
            features, logits, labels = (file.get_tensor(name) for name in ("features", "logits", "labels"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    n_classes, width = shape
    fits = labels.ndim == 1 and features.shape == (len(labels), width) and logits.shape == (len(labels), n_classes)
    if not (is_ours and fits and len(labels) and np.issubdtype(labels.dtype, np.integer)):
        return None
    if not (np.isfinite(features).all() and np.isfinite(logits).all()):
        return None
    is_of_classes = 0 <= labels.min() <= labels.max() < n_classes
    return ValAnswers(features, logits, labels) if is_of_classes else None
