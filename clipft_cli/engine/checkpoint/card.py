"""checkpoint.json: everything about a classifier that is no tensor, and the digests of what is."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pydantic

from ...config.base import Config
from ...config.data import DataConfig
from ...config.methods import METHOD_FACTS, MethodName, ObjectiveName
from ...config.model import HeadName, TrainedIn
from ...errors import CheckpointError, ClipftError, NoPermission
from ..files.digest import GivenUp, file_digest
from ..files.signed import read_description
from ..images.transforms import Preprocess
from ..machine.versions import versions_behind_results
from ..manifest import ClassInfo, Manifest
from ..model.base_model import BaseModel
from ..run_dir import CHECKPOINT_FILE, HEAD_FILE, RunDir, children
from .kept import Kept, kept_of_card

FORMAT = 1
LEAST_FACTOR, LARGEST_FACTOR = 1e-4, 1e4
"""Between these lies every temperature that is fitted and every scale of logits: beyond them all probabilities are
equal, or one of them is 1."""


@dataclass(frozen=True)
class Card:
    """Everything about a classifier that is no tensor. `settings` is its method's own section of the configuration,
    `data` names the manifest, `metrics` are on val, and `kept` says what of the run this is (None: all as trained).
    """

    method: MethodName
    base: BaseModel
    preprocess: Preprocess
    classes: tuple[ClassInfo, ...]
    templates: tuple[str, ...]
    head: str
    settings: Config | None
    data: Mapping[str, Any]
    epoch: int = 0
    step: int = 0
    temperature: float = 1.0
    metrics: Mapping[str, float] | None = None
    selected_on: str = "val"
    objective: ObjectiveName = "cross_entropy"
    precision: TrainedIn | None = None
    kept: Kept | None = None

    @property
    def label(self) -> str:
        """The method, and that its start was kept where that is what this is."""
        return self.kept.label(self.method) if self.kept is not None else self.method

    def to_json(self) -> dict[str, Any]:
        """As written to checkpoint.json."""
        return {
            "format": FORMAT,
            "method": self.method,
            "epoch": self.epoch,
            "step": self.step,
            "base": self.base.to_json(),
            "preprocess": self.preprocess.to_json(),
            "classes": [asdict(cls) for cls in self.classes],
            "templates": list(self.templates),
            "head": self.head,
            **self._own_section(),
            "temperature": self.temperature,
            "metrics": dict(self.metrics or {}),
            "selected_on": self.selected_on,
            "objective": self.objective,
            "precision": self.precision,
            "kept": self.kept.to_json() if self.kept is not None else None,
            "data": dict(self.data),
            "versions": versions_behind_results(),
        }

    def _own_section(self) -> dict[str, Any]:
        section = METHOD_FACTS[self.method].section
        own = {section: self.settings.model_dump(mode="json")} if section is not None and self.settings else {}
        return {"lora": None, **own}  # earlier versions read `lora` in every card


def card_of(checkpoint: Path, meta: Mapping[str, Any]) -> Card:
    """The card in a checkpoint.json that was read. Raises CheckpointError where it is none."""
    try:
        return _card_from(meta)
    except ClipftError as error:
        raise CheckpointError(f"{checkpoint}: {error.message}") from None
    except Exception as error:  # whatever a description of other types makes the parts raise
        raise does_not_fit(checkpoint, error) from error


def does_not_fit(checkpoint: Path, error: Exception) -> CheckpointError:
    """The failure to raise where description and files contradict each other, or the code."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return CheckpointError(f"{checkpoint}: does not fit together: {reason}")


class _CardFile(pydantic.BaseModel):
    """What checkpoint.json must hold: it may come from anywhere, so that nothing in it is taken on trust."""

    model_config = pydantic.ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    method: MethodName
    base: BaseModel
    preprocess: dict[str, Any]
    classes: list[ClassInfo] = pydantic.Field(min_length=1)
    templates: list[str] = pydantic.Field(min_length=1)
    head: HeadName
    lora: dict[str, Any] | None
    data: dict[str, Any]
    epoch: int = pydantic.Field(ge=0)
    step: int = pydantic.Field(ge=0)
    temperature: float = pydantic.Field(ge=LEAST_FACTOR, le=LARGEST_FACTOR)
    metrics: dict[str, float | None] | None = None
    selected_on: str = "val"
    objective: ObjectiveName = "cross_entropy"
    precision: TrainedIn | None = None
    kept: Kept | None = None

    @pydantic.field_validator("classes")
    @classmethod
    def _each_once(cls, value: list[ClassInfo]) -> list[ClassInfo]:
        if len({info.name for info in value}) != len(value):
            raise ValueError("a class is named twice")
        return value

    @pydantic.field_validator("templates")
    @classmethod
    def _one_placeholder_each(cls, value: list[str]) -> list[str]:
        DataConfig(templates=tuple(value))
        return value


def _card_from(meta: Mapping[str, Any]) -> Card:
    try:
        read = _CardFile.model_validate_json(json.dumps(meta))
    except pydantic.ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise ValueError(f"{place}: {detail['msg']}") from None
    values = {field: getattr(read, field) for field in _CardFile.model_fields}
    del values["lora"]
    return Card(
        **{
            **values,
            "preprocess": Preprocess.from_config(read.preprocess),
            "classes": tuple(read.classes),
            "templates": tuple(read.templates),
            "settings": _settings_of(meta),
            "kept": read.kept or kept_of_card(meta),
        }
    )


def _settings_of(meta: Mapping[str, Any]) -> Config | None:
    facts = METHOD_FACTS[meta["method"]]
    if facts.section is None or facts.settings is None:
        return None
    return facts.settings(**(meta.get(facts.section) or {}))  # cards of earlier versions do not have every section


def with_result(
    card: Card,
    *,
    epoch: int,
    step: int,
    metrics: Mapping[str, float],
    temperature: float = 1.0,
    kept: Kept | None = None,
) -> Card:
    """`card` for one point of the run."""
    return replace(card, epoch=epoch, step=step, metrics=dict(metrics), temperature=temperature, kept=kept)


def data_facts(manifest: Manifest) -> dict[str, Any]:
    """What a checkpoint remembers of its data set: not where it was, which is nobody else's business."""
    return {"name": manifest.name, "manifest_digest": manifest.digest}


def read_card(checkpoint: Path) -> dict[str, Any]:
    """checkpoint.json as a mapping. Raises CheckpointError where it is missing, damaged or of another format."""
    with _naming_others(checkpoint):
        return _read_card(checkpoint)


def read_whole(checkpoint: Path) -> dict[str, Any]:
    """`read_card` of a checkpoint whose files are verified, one by one. Raises CheckpointError."""
    meta = read_card(checkpoint)
    verify_files(checkpoint, meta)
    return meta


def verify_files(checkpoint: Path, meta: Mapping[str, Any], is_unwanted: threading.Event | None = None) -> None:
    """Raises CheckpointError for a file that is missing or whose digest differs, GivenUp once `is_unwanted` is set."""
    with _naming_others(checkpoint):
        _verify_files(checkpoint, meta, is_unwanted)


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of the checkpoint is what was written."""
    try:
        _verify_files(checkpoint, _read_card(checkpoint))
    except CheckpointError:
        return False
    return True


def _is_known_whole(checkpoint: Path) -> bool:
    try:
        return is_whole(checkpoint)
    except NoPermission:
        return False


def others_hint(checkpoint: Path) -> str:
    """What to do about a damaged checkpoint: the whole ones of the same run, by name."""
    run = RunDir(checkpoint.parent)
    candidates = [run.final, *(folder for _, folder in reversed(run.checkpoints()))]
    whole = [str(folder) for folder in candidates if folder != checkpoint and _is_known_whole(folder)]
    return f"whole checkpoints of this run: {', '.join(whole)}" if whole else "this run has no other whole checkpoint"


def _read_card(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / CHECKPOINT_FILE
    meta = read_description(path, "checkpoint")
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not of format {FORMAT}", hint="it was written by another version of clipft")
    return meta


def _verify_files(checkpoint: Path, meta: Mapping[str, Any], is_unwanted: threading.Event | None = None) -> None:
    files = meta.get("files")
    if not isinstance(files, dict) or HEAD_FILE not in files:
        raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it lists no files")
    there = {path.name for path in children(checkpoint) if path.is_file()}
    for name, digest in files.items():
        path = checkpoint / name
        if name not in there:
            raise CheckpointError(f"{path}: is missing")
        try:
            found = file_digest(path, is_unwanted)
        except GivenUp:
            raise
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
        if found != digest:
            raise CheckpointError(f"{path}: is damaged (its checksum differs)")


@contextlib.contextmanager
def _naming_others(checkpoint: Path) -> Iterator[None]:
    """Adds to an error without a hint which whole checkpoints lie beside this one."""
    try:
        yield
    except CheckpointError as error:
        error.hint = error.hint or others_hint(checkpoint)
        raise
