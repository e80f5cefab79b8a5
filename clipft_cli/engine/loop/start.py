"""Where a run starts: the class prompts, or a linear probe where that is better on val (LP-FT)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...config.metrics import SelectionMetric
from ...errors import CheckpointError, ModelError, NoPermission
from ..checkpoint.load import read_head
from ..checkpoint.parent import Parent
from ..events import Note, OnEvent
from ..files.digest import file_digest
from ..files.regular import regular_text
from ..files.signed import signed_json
from ..files.tensors import write_tensors
from ..files.write import replaced_folder
from ..frozen.feature_cache import FeatureCache
from ..images.dataset import ImageDataset
from ..methods import METHODS
from ..methods.linear_probe import Probe, fit_probe
from ..metrics.calibration import fit_temperature
from ..metrics.val import ValMetrics, metrics_of
from ..model.classifier import Classifier, CosineHead, Head, LinearHead
from ..model.inference import split_features
from ..run_dir import HEAD_FILE
from .inherited import inherited_head
from .material import Material

START_FILE = "start.json"
RESTORE_HINT = "restore it (config.yaml, classes.txt, data set, base weights), or start a new run"


class DamagedStart(CheckpointError):
    """The start cannot be read; being a function of model and data, it can be measured again."""


@dataclass(frozen=True)
class Start:
    """The head a run starts with, `kind` "text", "probe" or "run"; what zero-shot, the probe and the head of the run
    it starts from score on val.
    """

    head: Head
    kind: str
    zero_shot: ValMetrics
    probe: ValMetrics | None
    probe_c: float | None
    val_logits: Tensor
    inherited: ValMetrics | None = None

    @property
    def metrics(self) -> ValMetrics:
        """Of the start chosen."""
        return {"probe": self.probe, "run": self.inherited}.get(self.kind) or self.zero_shot


def choose_start(material: Material, text: CosineHead, on_event: OnEvent) -> Start:
    """Measure zero-shot on val, a linear probe where it may be the start, and take the better by `select_by`; or the
    head of the run that this one starts from, where that is as good.

    Features are read from the cache where it has them. Raises ModelError where the model gives no numbers.
    Source of the probe's start: Kumar et al. 2022 (LP-FT).
    """
    val_features = _features(material, text, "val", on_event)
    start = _prompts_or_probe(material, text, val_features, on_event)
    return start if material.parent is None else _or_inherited(start, material.parent, material, val_features, on_event)


def _prompts_or_probe(material: Material, text: CosineHead, val_features: Tensor, on_event: OnEvent) -> Start:
    config, val_set, select_by = material.config, material.val_set, material.config.training.select_by
    val_labels = torch.from_numpy(val_set.labels)
    text_on_cpu = _text_head(text, config.model.head)
    zero_logits = _logits(text, val_features)
    zero_shot = metrics_of(zero_logits, val_labels)
    if not config.wants_probe:
        return Start(text_on_cpu, "text", zero_shot, None, None, zero_logits)

    def rank_of(logits: Tensor) -> tuple[float, float]:
        return metrics_of(logits, val_labels).rank(select_by)

    def temperature_of(logits: Tensor) -> float:
        size = max(float(logits.std()), 1e-30)  # under heavy regularisation far below what a temperature is sought in
        return size * fit_temperature(logits.numpy() / size, val_set.labels)

    probe = fit_probe(
        (_features(material, text, "train", on_event), torch.from_numpy(material.train_set.labels)),
        val_features,
        len(text.weight),
        config.linear_probe,
        temperature_of=temperature_of,
        rank_of=rank_of,
        is_balanced=config.data.class_balance != "none",
    )
    probe_logits = _logits(probe.head(), val_features)
    measured = metrics_of(probe_logits, val_labels)
    gain = measured.value(select_by) - zero_shot.value(select_by)
    is_chosen = gain > 0 or (config.must_probe and gain == 0)
    told = _sentence(zero_shot, measured, probe, select_by, is_chosen)
    on_event(Note(told, is_warning=config.must_probe and not is_chosen))
    if is_chosen:
        return Start(probe.head(), "probe", zero_shot, measured, probe.c, probe_logits)
    return Start(text_on_cpu, "text", zero_shot, measured, probe.c, zero_logits)


def _or_inherited(start: Start, parent: Parent, material: Material, val_features: Tensor, on_event: OnEvent) -> Start:
    """The parent's head where the method trains on from a head and it is as good as `start`; said either way."""
    config, val_set = material.config, material.val_set
    if not METHODS[config.method].trains_by_epochs or config.trains_text or config.model.head_start != "auto":
        return start
    names = [info.name for info in val_set.manifest.classes]
    found = inherited_head(parent, names, start.head, config.model.head)
    if found is None:
        on_event(Note(f"{parent.checkpoint}: its head has no class of these, or is of another kind: a new one is made"))
        return start
    head, n_known = found
    logits = _logits(head, val_features)
    measured = metrics_of(logits, torch.from_numpy(val_set.labels))
    select_by = config.training.select_by
    is_chosen = measured.value(select_by) >= start.metrics.value(select_by)
    on_event(
        Note(
            f"the head of {parent.checkpoint}, {n_known} of {len(names)} classes: {measured.top1:.1%} top-1 on val;"
            f" {'starting from it' if is_chosen else 'it is not the start'}"
        )
    )
    if is_chosen:
        return replace(start, head=head, kind="run", val_logits=logits, inherited=measured)
    return replace(start, inherited=measured)


def _features(material: Material, text: CosineHead, split: str, on_event: OnEvent) -> Tensor:
    """(N, D) float32 of the pretrained tower, from the cache where it has them."""
    dataset, what = (material.train_set, "features") if split == "train" else (material.val_set, split)
    inference = material.inference.watched(on_event)

    def compute() -> Tensor:
        probing = Classifier(material.backbone.model, text).to(material.precision.device)
        features = split_features(probing, dataset, inference, what)
        _refuse_non_finite(features, dataset, split)
        return features

    kept = FeatureCache.of(material.config.cache, material.base_digest)
    return kept.features(dataset, inference, compute)


def _refuse_non_finite(features: Tensor, dataset: ImageDataset, split: str) -> None:
    bad = (~torch.isfinite(features).all(dim=1)).nonzero()[:, 0].tolist()
    if bad:
        paths = ", ".join(dataset.rows[i].path for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ModelError(
            f"the pretrained model's features of {len(bad)} {split} images are not finite ({paths})",
            hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
        )


def _text_head(text: CosineHead, wish: str) -> Head:
    if wish == "linear":
        return LinearHead(text.weight.detach().cpu(), None, float(text.scale))
    return CosineHead(text.weight.detach().cpu(), float(text.scale))


def _logits(head: Head, features: Tensor) -> Tensor:
    with torch.inference_mode():
        return head.cpu()(features).clone()  # type: ignore[no-any-return]


def _sentence(
    zero_shot: ValMetrics, measured: ValMetrics, probe: Probe, select_by: SelectionMetric, is_chosen: bool
) -> str:
    start = "the probe's weights" if is_chosen else "the class prompts"
    by = f"; by {select_by}" if select_by != "top1" else ";"
    return (
        f"start: zero-shot {zero_shot.top1:.1%}, linear probe {measured.top1:.1%} top-1 on val"
        f" (C={probe.c:g}){by} starting from {start}"
    )


def save_start(folder: Path, start: Start, material_digests: dict[str, str]) -> None:
    """Keep what the run started from, for a resume and for the mix at the end."""
    with replaced_folder(folder) as new:
        write_tensors(new / HEAD_FILE, start.head.state_dict())
        content = {
            "head": start.head.kind,
            "kind": start.kind,
            "zero_shot": start.zero_shot,
            "probe": start.probe,
            "probe_c": start.probe_c,
            "inherited": start.inherited,
            **material_digests,
            "files": {HEAD_FILE: file_digest(new / HEAD_FILE)},
        }
        (new / START_FILE).write_text(signed_json(content), encoding="utf-8")


def read_start(folder: Path, material_digests: dict[str, str]) -> Start:
    """What `save_start` kept.

    Raises DamagedStart where it is missing or damaged, CheckpointError where config, model or data are others now.
    """
    try:
        text = regular_text(folder / START_FILE)
        content = json.loads(text)
        if text != signed_json(content) or content["files"][HEAD_FILE] != file_digest(folder / HEAD_FILE):
            raise ValueError("checksum differs")
        head = read_head(folder / HEAD_FILE, content["head"])
        zero_shot = ValMetrics(content["zero_shot"])
        probe = ValMetrics(content["probe"]) if content["probe"] else None
        inherited = ValMetrics(content["inherited"]) if content.get("inherited") else None
        kind, probe_c = str(content["kind"]), content["probe_c"]
    except NoPermission:
        raise
    except Exception as error:  # whatever a damaged file makes a reader raise
        raise DamagedStart(f"{folder}: is missing or damaged ({type(error).__name__})") from None
    refuse_changed(folder.parent, content, material_digests)
    return Start(head, kind, zero_shot, probe, probe_c, torch.empty(0), inherited)


def refuse_changed(run: Path, then: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Raises CheckpointError where a digest of `now` (`Inputs.digests`) is not the one it was `then`.

    What an earlier version of clipft did not note is not held against the run.
    """
    changed = [what for what, digest in now.items() if then.get(what, digest) != digest]
    if changed:
        raise CheckpointError(f"{run}: {cannot_resume(changed)}", hint=RESTORE_HINT)


def cannot_resume(changed: Sequence[str]) -> str:
    """The clause that names what is another one now."""
    is_one = len(changed) == 1 and changed[0] not in ("settings", "names of classes", "prompt templates")
    verb = "is" if is_one else "are"
    return f"cannot be resumed: {' and '.join(changed)} {verb} not what the run started with"
