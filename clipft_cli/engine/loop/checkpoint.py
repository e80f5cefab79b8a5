"""A fine-tuned model on disk: safetensors and JSON, checksummed, written whole or not at all, never pickled."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ...config.commands import TrainConfig
from ...config.data import DataConfig
from ...config.methods import LoraConfig
from ...config.model import ModelConfig
from ...errors import CheckpointError, ClipftError
from ..data.manifest import ClassInfo, Manifest
from ..data.templates import choose_templates
from ..data.transforms import Preprocess
from ..methods import METHODS
from ..model.backbone import Backbone, BaseModel, build_untrained, load_backbone
from ..model.classifier import Classifier, CosineHead, Head, LinearHead, logit_scale_of
from ..model.foreign import check_model_cfg
from ..model.prompts import zero_shot_head
from ..run_dir import (
    ADAPTER_FILE,
    CHECKPOINT_FILE,
    HEAD_FILE,
    OPEN_CLIP_CONFIG_FILE,
    TOWER_FILE,
    RunDir,
    replaced_folder,
)
from .tensors import write_tensors

FORMAT = 1
MAX_CARD_BYTES = 64 << 20


@dataclass(frozen=True)
class Card:
    """Everything about a classifier that is no tensor. `data` names the manifest; `metrics` are on val."""

    method: str
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
            "data": dict(self.data),
            "versions": versions(),
        }


@dataclass(frozen=True)
class Loaded:
    """A classifier ready to use; probabilities are softmax(logits / temperature)."""

    classifier: Classifier
    card: Card
    meta: dict[str, Any]

    @property
    def preprocess(self) -> Preprocess:
        """The validation transform."""
        return self.card.preprocess

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """In the order of the logits."""
        return self.card.classes

    @property
    def temperature(self) -> float:
        """Fitted on val; 1 where it was not."""
        return self.card.temperature


def save_classifier(folder: Path, classifier: Classifier, card: Card) -> None:
    """Write the checkpoint `folder`, replacing one of the same name only when the new one is whole."""
    with replaced_folder(folder) as new:
        write_tensors(new / HEAD_FILE, classifier.head.state_dict())
        if METHODS[card.method].saves_tower:  # type: ignore[index]
            write_tensors(new / TOWER_FILE, classifier.clip.state_dict())
        if classifier.adapters is not None:
            write_tensors(new / ADAPTER_FILE, classifier.adapters.state_dict())
        config = {"model_cfg": card.base.model_cfg, "preprocess_cfg": card.preprocess.to_json()}
        (new / OPEN_CLIP_CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
        files = {file.name: file_digest(file) for file in sorted(new.iterdir())}
        (new / CHECKPOINT_FILE).write_text(signed_json({**card.to_json(), "files": files}), encoding="utf-8")


def load_classifier(checkpoint: Path, device: torch.device) -> Loaded:
    """The classifier in a checkpoint folder, verified file by file.

    Raises CheckpointError where it is damaged, of another format, or its base model is not the one it belongs to.
    """
    meta = read_card(checkpoint)
    verify_files(checkpoint, meta)
    try:
        card = _card_from(meta)
        if METHODS[card.method].saves_tower and TOWER_FILE not in meta["files"]:  # type: ignore[index]
            raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it does not list {TOWER_FILE}")
        clip = _tower(checkpoint, card)
        head = _head(load_file(checkpoint / HEAD_FILE), card.head)
        method = METHODS[card.method]  # type: ignore[index]
        config = TrainConfig(method=method.name, lora=card.lora or LoraConfig())
        classifier = method.attach(clip, head, config)
        if classifier.adapters is not None:
            classifier.adapters.load_state_dict(load_file(checkpoint / ADAPTER_FILE))
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise CheckpointError(f"{checkpoint}: does not fit together: {reason}") from error
    return Loaded(classifier.to(device).eval(), card, meta)


def load_zero_shot(model: ModelConfig, data: DataConfig, manifest: Manifest, device: torch.device) -> Loaded:
    """The untouched pretrained model with a head of class prompts for the classes of `manifest`."""
    backbone = load_backbone(model)
    templates = choose_templates(data.templates, backbone.base.name)
    card = Card(
        method="zero_shot",
        base=backbone.base,
        preprocess=backbone.preprocess,
        classes=manifest.classes,
        templates=templates,
        head="cosine",
        lora=None,
        data=data_facts(manifest),
    )
    head = text_head(backbone, manifest.classes, templates)
    return Loaded(Classifier(backbone.model, head).to(device).eval(), card, card.to_json())


def text_head(backbone: Backbone, classes: tuple[ClassInfo, ...], templates: tuple[str, ...]) -> CosineHead:
    """The cosine head whose class vectors are the embedded prompts."""
    names = [cls.readable for cls in classes]
    weight = zero_shot_head(backbone.model, backbone.tokenizer, names, templates)
    return CosineHead(weight, logit_scale_of(backbone.model))


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
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not of format {FORMAT}", hint="it was written by another version of clipft")
    if content != signed_json(meta).encode("utf-8", "replace"):
        raise CheckpointError(f"{path}: is damaged (its checksum differs)")
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


def others_hint(checkpoint: Path) -> str:
    """What to do about a damaged checkpoint: the whole ones of the same run, by name."""
    run = RunDir(checkpoint.parent)
    candidates = [run.final, *(folder for _, folder in reversed(run.checkpoints()))]
    whole = [str(folder) for folder in candidates if folder != checkpoint and is_whole(folder)]
    return f"whole checkpoints of this run: {', '.join(whole)}" if whole else "this run has no other whole checkpoint"


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def with_result(card: Card, *, epoch: int, step: int, metrics: Mapping[str, float], temperature: float = 1.0) -> Card:
    """`card` for one point of the run."""
    return replace(card, epoch=epoch, step=step, metrics=dict(metrics), temperature=temperature)


def head_of(tensors: Mapping[str, Tensor], kind: str) -> Head:
    """A head from its state dict."""
    return _head(tensors, kind)


def _card_from(meta: Mapping[str, Any]) -> Card:
    base = BaseModel(**meta["base"])
    if meta["method"] not in METHODS:
        raise CheckpointError(f"unknown method '{meta['method']}' in the checkpoint")
    temperature = float(meta["temperature"])
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
    )


def _tower(checkpoint: Path, card: Card) -> torch.nn.Module:
    if not METHODS[card.method].saves_tower:  # type: ignore[index]
        return _base_of(checkpoint, card)
    check_model_cfg(card.base.model_cfg, str(checkpoint / CHECKPOINT_FILE))
    clip = build_untrained(card.base.model_cfg)
    clip.load_state_dict(load_file(checkpoint / TOWER_FILE))
    has_quick_gelu = any(type(module).__name__ == "QuickGELU" for module in clip.modules())
    if has_quick_gelu != card.base.quick_gelu:
        raise CheckpointError(f"{checkpoint}: the activation built (QuickGELU: {has_quick_gelu}) is not its own")
    return clip


def _base_of(checkpoint: Path, card: Card) -> torch.nn.Module:
    backbone = load_backbone(ModelConfig(name=card.base.name, pretrained=card.base.pretrained))
    if backbone.base.weights_sha256 != card.base.weights_sha256:
        raise CheckpointError(
            f"{checkpoint}: belongs to another base model: the weights of {card.base.name}"
            f" ({card.base.pretrained or 'its own'}) found here have a different digest",
            hint="restore the weights this run was trained with",
        )
    return backbone.model


def _head(tensors: Mapping[str, Tensor], kind: str) -> Head:
    if kind == "cosine":
        return CosineHead(tensors["weight"], float(tensors["scale"]))
    if kind == "linear":
        return LinearHead(tensors["weight"], tensors["bias"], float(tensors["scale"]))
    raise ValueError(f"unknown head '{kind}'")
