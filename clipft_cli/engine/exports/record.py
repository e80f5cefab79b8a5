"""export.json: what an export is of, what it was checked on, and the digests of its files. No torch is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import pydantic

from ...config.export import FormatName
from ...errors import CheckpointError, ClipftError
from ..checkpoint.card import LARGEST_FACTOR, LEAST_FACTOR, Card
from ..files.digest import file_digest
from ..files.signed import read_description, signed_json
from ..images.transforms import Preprocess
from ..labels.class_names import ClassInfo
from ..machine.versions import versions_behind_results
from ..run_dir import EXPORT_FILE

FORMAT = 1
NOT_SIGNED = frozenset({EXPORT_FILE, "README.md"})
"""Files without a digest: the model card is there to be edited."""


@dataclass(frozen=True)
class Export:
    """An export on disk, as its record says. `model`: what it was made of; `files`: name -> sha256."""

    folder: Path
    kind: FormatName
    classes: tuple[ClassInfo, ...]
    preprocess: Preprocess
    temperature: float
    model: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...]
    checked_on: str
    files: Mapping[str, str]
    digest: str

    def verify(self, *names: str) -> None:
        """Raises CheckpointError where one of the files is missing or not what was written; without names, of all."""
        for name in names or tuple(self.files):
            path = self.folder / name
            if name not in self.files:
                raise CheckpointError(f"{self.folder / EXPORT_FILE}: is damaged: it does not list {name}", hint=_AGAIN)
            try:
                found = file_digest(path)
            except FileNotFoundError:
                raise CheckpointError(f"{path}: is missing", hint=_AGAIN) from None
            except OSError as error:
                raise CheckpointError(f"{path}: cannot be read: {error.strerror}", hint=_AGAIN) from None
            if found != self.files[name]:
                raise CheckpointError(f"{path}: is damaged (its checksum differs)", hint=_AGAIN)


_AGAIN = "export the run again: `clipft export RUN --to FORMAT`"


class _Record(pydantic.BaseModel):
    """What export.json must hold: it may come from anywhere."""

    model_config = pydantic.ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    kind: str
    classes: list[ClassInfo] = pydantic.Field(min_length=1)
    preprocess: dict[str, Any]
    temperature: float = pydantic.Field(ge=LEAST_FACTOR, le=LARGEST_FACTOR)
    model: dict[str, Any]
    checks: list[dict[str, Any]]
    checked_on: str
    files: dict[str, str]

    @pydantic.field_validator("files")
    @classmethod
    def _inside_the_folder(cls, value: dict[str, str]) -> dict[str, str]:
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in value):
            raise ValueError("a file lies outside of the folder")
        return value


def read_export(folder: Path) -> Export:
    """The record of an export. Raises CheckpointError where it is missing, damaged or of another version."""
    path = folder / EXPORT_FILE
    found = read_description(path, "export", hint=_AGAIN)
    if found.get("format") != FORMAT or found.get("kind") not in get_args(FormatName):
        raise CheckpointError(f"{path}: is not of format {FORMAT}", hint="it was written by another version of clipft")
    try:
        return _export(folder, found)
    except ClipftError as error:
        raise CheckpointError(f"{path}: {error.message}") from None
    except pydantic.ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise CheckpointError(f"{path}: does not fit together: {place}: {detail['msg']}") from None
    except Exception as error:  # whatever a description of other types makes the parts raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise CheckpointError(f"{path}: does not fit together: {reason}") from None


def _export(folder: Path, found: Mapping[str, Any]) -> Export:
    record = _Record.model_validate_json(json.dumps(found))
    values = {name: getattr(record, name) for name in _Record.model_fields}
    values |= {"classes": tuple(record.classes), "checks": tuple(record.checks)}
    values["preprocess"] = Preprocess.from_config(record.preprocess)
    return Export(folder, **values, digest=str(found["sha256"]))


def write_record(
    folder: Path, kind: FormatName, card: Card, checks: list[dict[str, Any]], checked_on: str
) -> dict[str, str]:
    """Write export.json over the files that lie in `folder`, and return their digests."""
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in there]
    files = {name: file_digest(folder / name) for name in names if name not in NOT_SIGNED}
    content = {
        "format": FORMAT,
        "kind": kind,
        "classes": [asdict(info) for info in card.classes],
        "preprocess": card.preprocess.to_json(),
        "temperature": card.temperature,
        "model": model_facts(card),
        "checks": checks,
        "checked_on": checked_on,
        "versions": versions_behind_results(),
        "files": files,
    }
    (folder / EXPORT_FILE).write_text(signed_json(content), encoding="utf-8")
    return files


def model_facts(card: Card) -> dict[str, Any]:
    """What a reader of figures must know of the model; no place of the machine that made it."""
    base = card.base.to_json()
    return {
        "method": card.method,
        "label": card.label,
        "kept": card.kept.to_json() if card.kept is not None else None,
        "epoch": card.epoch,
        "selected_on": card.selected_on,
        "base": base["name"],
        "pretrained": base["pretrained"],
        "weights_digest": card.base.weights_sha256,
        "precision": card.precision,
        "metrics_on_val": dict(card.metrics or {}),
        "data": dict(card.data),
    }
