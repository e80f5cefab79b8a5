"""What an evaluation is of: which checkpoint, which data set, and where its reports belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.evaluate import EvaluateConfig
from ...config.load import load_config
from ...config.train import TrainConfig
from ...errors import CheckpointError, ConfigError, DataError
from ..files.digest import file_digest
from ..files.places import where
from ..labels.folder_names import folder_name
from ..manifest import DATASET_FILE, Manifest
from ..run_dir import CHECKPOINT_FILE, OUTPUTS, RunDir, find_checkpoint
from .card import read_card


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
    """--data-dir, else the data set the run was trained on, else data.dir.

    A file's data.dir names what is to be trained on next, which is no reason to measure a run on other images.
    """
    if config.evaluate.data_dir is not None:
        return config.evaluate.data_dir
    if subject.checkpoint is None:
        return config.data.dir
    try:
        return _own_data_dir(subject, subject.checkpoint)
    except DataError:
        if "dir" not in config.data.model_fields_set:
            raise
        return config.data.dir


def _own_data_dir(subject: Subject, checkpoint: Path) -> Path:
    """Where the data set is that the run was trained on. Raises DataError where it is not there."""
    recorded = _trained_on(subject, "dir")  # by a version that wrote it into the checkpoint
    if recorded and Path(recorded).exists():
        return Path(recorded)
    run = RunDir(checkpoint.parent)
    given = recorded or _given_data(run)
    if given is None:
        raise DataError(f"{checkpoint}: does not say what it was trained on", hint="name it: --data-dir DIR")
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


def reports_dir(config: EvaluateConfig, subject: Subject, manifest: Manifest) -> Path:
    """--output-dir, else `evaluation-SPLIT` inside the run.

    What is not the run's best, and data that was named and is not what the run was trained on, has its name added, so
    that it never takes the place of the best's evaluation.
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
    place = place_in_run(subject.checkpoint, name, of_any=subject.is_zero_shot)
    is_inside = place.parent != subject.checkpoint
    if is_inside and options.data_dir is not None and is_other_data(subject, manifest):
        return place.with_name(f"{place.name}-on-{folder_name(manifest.root.resolve().name)}")
    return place


def place_in_run(checkpoint: Path, name: str, *, of_any: bool = False) -> Path:
    """`name` inside the run of a checkpoint, or inside the checkpoint where it lies outside of any run.

    The name of one that is not the run's best is added, unless what is kept there is the same `of_any`.
    """
    run = RunDir(checkpoint.parent)
    if not run.best.is_file() and not run.config.is_file():
        return checkpoint / name
    return run.path / (name if of_any or _is_best(run, checkpoint) else f"{name}-{checkpoint.name}")


def _trained_on(subject: Subject, key: str) -> str | None:
    facts = subject.meta.get("data")
    value = facts.get(key) if isinstance(facts, Mapping) else None
    return str(value) if value is not None else None


def _is_best(run: RunDir, checkpoint: Path) -> bool:
    try:
        return find_checkpoint(run.best).resolve() == checkpoint.resolve()
    except CheckpointError:
        return False
