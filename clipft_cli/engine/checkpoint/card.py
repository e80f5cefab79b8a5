"""checkpoint.json: everything about a classifier that is no tensor, and the digests of what is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from ...config.methods import LoraConfig, MethodName, ObjectiveName
from ...errors import CheckpointError, ClipftError
from ..files.digest import file_digest
from ..images.transforms import Preprocess
from ..manifest import ClassInfo, Manifest
from ..model.base_model import BaseModel
from ..run_dir import CHECKPOINT_FILE, HEAD_FILE, RunDir

FORMAT = 1
MAX_CARD_BYTES = 64 << 20


@dataclass(frozen=True)
class Card:
    """Everything about a classifier that is no tensor. `data` names the manifest; `metrics` are on val."""

    method: MethodName
    base: BaseModel
    preprocess: Preprocess
    classes: tuple[ClassInfo, ...]
    templates: tuple[str, ...]
    head: str
    lora: LoraConfig | None
    data: Mapping[str, Any]
    epoch: int = 0
    step: int = 0
    temperature: float = 1.0
    metrics: Mapping[str, float] | None = None
    selected_on: str = "val"
    objective: ObjectiveName = "cross_entropy"

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
            "lora": self.lora.model_dump(mode="json") if self.lora else None,
            "temperature": self.temperature,
            "metrics": dict(self.metrics or {}),
            "selected_on": self.selected_on,
            "objective": self.objective,
            "data": dict(self.data),
            "versions": versions(),
        }


def card_of(checkpoint: Path, meta: Mapping[str, Any]) -> Card:
    """The card in a checkpoint.json that was read. Raises CheckpointError where it is none."""
    try:
        return _card_from(meta)
    except ClipftError:
        raise
    except Exception as error:  # whatever a description of other types makes the parts raise
        raise does_not_fit(checkpoint, error) from error


def does_not_fit(checkpoint: Path, error: Exception) -> CheckpointError:
    """The failure to raise where description and files contradict each other, or the code."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return CheckpointError(f"{checkpoint}: does not fit together: {reason}")


def _card_from(meta: Mapping[str, Any]) -> Card:
    base = BaseModel(**meta["base"])
    if meta["method"] not in get_args(MethodName):
        raise CheckpointError(f"unknown method '{meta['method']}' in the checkpoint")
    temperature = float(meta["temperature"])
    objective = meta.get("objective", "cross_entropy")
    if objective not in get_args(ObjectiveName):
        raise ValueError("unknown objective")
    if not temperature > 0:
        raise ValueError("temperature must be greater than 0")
    return Card(
        method=meta["method"],
        base=base,
        preprocess=Preprocess.from_config(meta["preprocess"]),
        classes=tuple(ClassInfo(str(cls["name"]), str(cls["readable"])) for cls in meta["classes"]),
        templates=tuple(meta["templates"]),
        head=meta["head"],
        lora=LoraConfig(**meta["lora"]) if meta["lora"] else None,
        data=dict(meta["data"]),
        epoch=int(meta["epoch"]),
        step=int(meta["step"]),
        temperature=temperature,
        metrics=meta.get("metrics"),
        selected_on=str(meta.get("selected_on", "val")),
        objective=objective,
    )


def with_result(card: Card, *, epoch: int, step: int, metrics: Mapping[str, float], temperature: float = 1.0) -> Card:
    """`card` for one point of the run."""
    return replace(card, epoch=epoch, step=step, metrics=dict(metrics), temperature=temperature)


def data_facts(manifest: Manifest) -> dict[str, Any]:
    """What a checkpoint remembers of its data set."""
    return {"dir": str(manifest.root), "name": manifest.name, "manifest_digest": manifest.digest}


def versions() -> dict[str, str]:
    """Versions of what shapes a result."""
    found = {"python": platform.python_version()}
    for package in ("clipft-cli", "torch", "open_clip_torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def read_card(checkpoint: Path) -> dict[str, Any]:
    """checkpoint.json as a mapping. Raises CheckpointError where it is missing, damaged or of another format."""
    with _naming_others(checkpoint):
        return _read_card(checkpoint)


def verify_files(checkpoint: Path, meta: Mapping[str, Any]) -> None:
    """Raises CheckpointError for a file that is missing or whose digest differs."""
    with _naming_others(checkpoint):
        _verify_files(checkpoint, meta)


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of the checkpoint is what was written."""
    try:
        _verify_files(checkpoint, _read_card(checkpoint))
    except CheckpointError:
        return False
    return True


def others_hint(checkpoint: Path) -> str:
    """What to do about a damaged checkpoint: the whole ones of the same run, by name."""
    run = RunDir(checkpoint.parent)
    candidates = [run.final, *(folder for _, folder in reversed(run.checkpoints()))]
    whole = [str(folder) for folder in candidates if folder != checkpoint and is_whole(folder)]
    return f"whole checkpoints of this run: {', '.join(whole)}" if whole else "this run has no other whole checkpoint"


def signed_json(content: Mapping[str, Any]) -> str:
    """JSON text that ends with a checksum over the rest, so that a flipped bit in it shows."""
    body = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    return json.dumps({**body, "sha256": digest}, indent=2, ensure_ascii=False) + "\n"


def _read_card(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / CHECKPOINT_FILE
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise ValueError("no description is as large")
        content = path.read_bytes()
        meta = json.loads(content)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file, this is no checkpoint") from None
    except (OSError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: is damaged") from None
    if not isinstance(meta, dict) or content != signed_json(meta).encode("utf-8", "replace"):
        raise CheckpointError(f"{path}: is damaged (its checksum differs)")
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not of format {FORMAT}", hint="it was written by another version of clipft")
    return meta


def _verify_files(checkpoint: Path, meta: Mapping[str, Any]) -> None:
    files = meta.get("files")
    if not isinstance(files, dict) or HEAD_FILE not in files:
        raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it lists no files")
    there = {path.name for path in checkpoint.iterdir() if path.is_file()}
    for name, digest in files.items():
        path = checkpoint / name
        if name not in there:
            raise CheckpointError(f"{path}: is missing")
        if file_digest(path) != digest:
            raise CheckpointError(f"{path}: is damaged (its checksum differs)")


@contextlib.contextmanager
def _naming_others(checkpoint: Path) -> Iterator[None]:
    """Adds to an error without a hint which whole checkpoints lie beside this one."""
    try:
        yield
    except CheckpointError as error:
        error.hint = error.hint or others_hint(checkpoint)
        raise
