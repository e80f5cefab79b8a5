"""Which earlier run is what would be trained now: the same in all that decides a result, or it is another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...config.load import load_config
from ...config.train import TrainConfig
from ...errors import CheckpointError, ConfigError
from ..checkpoint.card import read_card
from ..images.subset import draw_subset
from ..labels.templates import choose_templates
from ..loop.inputs import Inputs, model_files, read_inputs, settings_of, words_of
from ..manifest import Manifest
from ..model.backbone import build_untrained
from ..model.base_model import BaseModel
from ..model.nf4 import n_weights
from ..optim.recipe import resolve
from ..run_dir import OUTPUTS, RunDir, find_checkpoint, runs_in


@dataclass(frozen=True)
class Earlier:
    """A run in outputs/, and what of it is not as it would be trained now."""

    path: Path
    config: TrainConfig
    differing: tuple[str, ...]


def earlier_runs(recipe: TrainConfig, seed: int, manifest: Manifest, *, is_finished: bool) -> Iterator[Earlier]:
    """Runs in outputs/ of the recipe's method on these images from this model, the newest first."""
    wanted = recipe.model_copy(update={"seed": seed})
    for run in _runs(is_finished):
        try:
            config = load_config(TrainConfig, run.config)
            then = None if config.method != recipe.method else read_inputs(run) or _inputs_of_old(run, config)
        except (ConfigError, CheckpointError):
            continue  # it is of another version, or nothing can be read of it
        if then is None or then.data_set != manifest.digest or not _is_of_model(wanted, config, then):
            continue
        yield Earlier(run.path, config, tuple(then.differing(inputs_now(wanted, manifest, then))))


def inputs_now(recipe: TrainConfig, manifest: Manifest, then: Inputs) -> Inputs:
    """What the recipe would be trained with on the base model of an earlier run, every `auto` settled for it."""
    n_train = n_train_images(recipe, manifest, recipe.seed)
    training, _ = resolve(recipe.training, recipe.method, n_train, then.tower_parameters)
    settled = recipe.model_copy(update={"training": training})
    return replace(
        then,
        settings=settings_of(settled),
        words=words_of(manifest),
        templates=choose_templates(recipe.data.templates, then.model_name),
        data_set=manifest.digest,
    )


def n_train_images(recipe: TrainConfig, manifest: Manifest, seed: int) -> int:
    """Images this recipe trains on."""
    data = recipe.data
    rows = manifest.split("train")
    return len(draw_subset(rows, fraction=data.fraction, few_shot=data.few_shot, seed=seed))


def _runs(is_finished: bool) -> list[RunDir]:
    found = [run for run in runs_in(OUTPUTS) if run.config.is_file() and run.is_finished == is_finished]
    dated = {run: (run.summary if is_finished else run.config).stat().st_mtime for run in found}
    return sorted(found, key=lambda run: dated[run], reverse=True)


def _is_of_model(recipe: TrainConfig, config: TrainConfig, then: Inputs) -> bool:
    """Whether both name one model: files by their bytes wherever they lie now, all else by its name or place."""
    now = model_files(recipe)
    if then.model_files and now != then.model_files:
        return False
    return all(
        _placed(ours) == _placed(theirs) or (what in then.model_files and _is_one_file(ours, theirs, what))
        for what, ours, theirs in (
            ("name", recipe.model.name, config.model.name),
            ("pretrained", recipe.model.pretrained or "", config.model.pretrained or ""),
        )
    )


def _is_one_file(ours: str, theirs: str, what: str) -> bool:
    """Whether two places may be those of one file, whose digests are equal: it is read by its suffix, an architecture
    is called by its file, and a folder is more than the file that its digest is of."""
    here, there = Path(ours), Path(theirs)
    if not here.is_file() or there.is_dir():
        return False
    return here.name == there.name if what == "name" else here.suffix == there.suffix


def _placed(name: str) -> str:
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def _inputs_of_old(run: RunDir, config: TrainConfig) -> Inputs | None:
    """Of a run of an earlier version, from its config, in which every `auto` is settled, and its checkpoint."""
    if not run.is_finished:
        return None
    meta = read_card(find_checkpoint(run.path))
    try:
        base = BaseModel(**meta["base"])
        words = tuple((str(item["name"]), str(item["readable"])) for item in meta["classes"])
        templates, data_set = tuple(meta["templates"]), str(meta["data"]["manifest_digest"])
        return Inputs(
            settings=settings_of(config),
            words=words,
            templates=templates,
            data_set=data_set,
            base_model=base.digest,
            tower_parameters=_tower_parameters(base.model_cfg),
            model_name=base.name,
            model_files=_known_files(config, base),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{run.path}: its description cannot be read") from None


def _tower_parameters(model_cfg: Mapping[str, Any]) -> int:
    with torch.device("meta"):
        model: Any = build_untrained(dict(model_cfg))
    return n_weights(model.visual)


def _known_files(config: TrainConfig, base: BaseModel) -> dict[str, str]:
    """The weights' file as it was, where the checkpoint says; the description of the model as it is."""
    files = model_files(config)
    return {**files, "pretrained": base.file_sha256} if base.file_sha256 and "pretrained" in files else files
