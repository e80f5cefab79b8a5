"""What an evaluation is of: which checkpoint, which data set, and where its reports belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...config.commands import EvaluateConfig, TrainConfig
from ...config.load import load_config
from ...errors import CheckpointError, ConfigError, DataError
from ..files.digest import file_digest
from ..files.places import where
from ..files.visible import visible
from ..labels.class_names import ClassInfo
from ..labels.names import earlier_name
from ..manifest import DATASET_FILE, Manifest
from ..run_dir import CHECKPOINT_FILE, OUTPUTS, RunDir, find_checkpoint
from .card import read_card

N_NAMED = 8


@dataclass(frozen=True)
class Subject:
    """What is measured. Without a checkpoint it is the pretrained model of the configuration.

    `meta` is checkpoint.json; `digest` that of the file, which lists the digests of all others.
    """

    checkpoint: Path | None
    meta: Mapping[str, Any]
    digest: str | None
    is_zero_shot: bool

    @property
    def label(self) -> str:
        """For a person: the checkpoint, or the pretrained model."""
        if self.checkpoint is None:
            return "the pretrained model, zero-shot"
        return f"{self.checkpoint}" + (" (its untouched pretrained model, zero-shot)" if self.is_zero_shot else "")


def choose_subject(config: EvaluateConfig) -> Subject:
    """The checkpoint asked for, else the newest finished run's best; with `zero_shot` maybe none at all.

    Raises CheckpointError where there is none, or its description is damaged.
    """
    options = config.evaluate
    is_model_given = "name" in config.model.model_fields_set or "pretrained" in config.model.model_fields_set
    if options.zero_shot and options.checkpoint is None and is_model_given:
        return Subject(None, {}, None, True)
    checkpoint = find_checkpoint(options.checkpoint)
    meta = read_card(checkpoint)
    return Subject(checkpoint, meta, file_digest(checkpoint / CHECKPOINT_FILE), options.zero_shot)


def data_dir_of(config: EvaluateConfig, subject: Subject) -> Path:
    """--data-dir, else data.dir where it was given, else the data set the run was trained on."""
    if config.evaluate.data_dir is not None:
        return config.evaluate.data_dir
    if "dir" in config.data.model_fields_set or subject.checkpoint is None:
        return config.data.dir
    recorded = _trained_on(subject, "dir")  # by a version that wrote it into the checkpoint
    if recorded and Path(recorded).exists():
        return Path(recorded)
    run = RunDir(subject.checkpoint.parent)
    given = recorded or _given_data(run)
    if given is None:
        raise DataError(f"{subject.checkpoint}: does not say what it was trained on", hint="name it: --data-dir DIR")
    found = where(run.path, "data.dir", given) if run.config.is_file() else None
    if found is None:
        raise DataError(
            f"{given}: the data set this run was trained on is not there (looked from {Path.cwd()}"
            + (f" and from {run.path})" if run.config.is_file() else ")"),
            hint="name it: --data-dir DIR",
        )
    return found


def _given_data(run: RunDir) -> str | None:
    """The data set as the run's config names it."""
    try:
        return str(load_config(TrainConfig, run.config).data.dir)
    except ConfigError:
        return None


def is_other_data(subject: Subject, manifest: Manifest) -> bool:
    """Whether the run was trained on another state of the data, so that this split may not be unseen."""
    digest = _trained_on(subject, "manifest_digest")
    return digest is not None and digest != manifest.digest


def reports_dir(config: EvaluateConfig, subject: Subject) -> Path:
    """--output-dir, else `evaluation-SPLIT` inside the run.

    What is not the run's best has its name added, so that it never takes the place of the best's evaluation.
    """
    options = config.evaluate
    if options.output_dir is not None:
        if (options.output_dir / DATASET_FILE).is_file():
            raise ConfigError(
                f"--output-dir: {options.output_dir} is a data set, reports would lie among its images",
                hint="choose another folder",
            )
        return options.output_dir
    if subject.checkpoint is None:
        return OUTPUTS / f"zero-shot-{options.split}"
    name = f"evaluation-{options.split}" + ("-zero-shot" if subject.is_zero_shot else "")
    run = RunDir(subject.checkpoint.parent)
    if not run.best.is_file() and not run.config.is_file():
        return subject.checkpoint / name  # a checkpoint that lies outside any run
    if not subject.is_zero_shot and not _is_best(run, subject.checkpoint):
        name += f"-{subject.checkpoint.name}"
    return run.path / name


def match_classes(manifest: Manifest, classes: tuple[ClassInfo, ...], subject: Subject) -> np.ndarray:
    """(C,) the model's index of each class of the data set, by name.

    Raises DataError naming what differs where the two do not have the same classes.
    """
    index = {info.name: number for number, info in enumerate(classes)}
    names = [info.name for info in manifest.classes]
    if set(names) != set(index):
        index, names = _under_earlier_names(index, names)
    only_data = [name for name in names if name not in index]
    only_model = [name for name in index if name not in set(names)]
    if only_data or only_model:
        parts = [
            f"only {where}: {_listed(found)}"
            for where, found in (("in the data set", only_data), ("in the checkpoint", only_model))
            if found
        ]
        raise DataError(
            f"{manifest.root}: its {len(names)} classes are not the {len(index)} of {subject.checkpoint}"
            f" ({'; '.join(parts)})",
            hint="evaluate on a data set with the classes of the checkpoint, or train on this one",
        )
    return np.array([index[name] for name in names], dtype=np.int64)


def _under_earlier_names(index: dict[str, int], names: list[str]) -> tuple[dict[str, int], list[str]]:
    """Both sides as an earlier version named them, where that makes them meet and keeps every class apart."""
    old_index = {earlier_name(name): number for name, number in index.items()}
    old_names = [earlier_name(name) for name in names]
    if set(old_names) == set(old_index) and len(old_index) == len(index) and len(set(old_names)) == len(names):
        return old_index, old_names
    return index, names


def _trained_on(subject: Subject, key: str) -> str | None:
    facts = subject.meta.get("data")
    value = facts.get(key) if isinstance(facts, Mapping) else None
    return str(value) if value is not None else None


def _is_best(run: RunDir, checkpoint: Path) -> bool:
    try:
        return find_checkpoint(run.best).resolve() == checkpoint.resolve()
    except CheckpointError:
        return False


def _listed(names: list[str]) -> str:
    shown = ", ".join(visible(name) for name in names[:N_NAMED])
    return shown + (f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else "")
