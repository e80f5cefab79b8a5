"""The file of a checkpoint's base weights on this machine: found by its name, known by its digest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from ...config.train import TrainConfig
from ...demo.tiny import MODEL_NAME, WEIGHTS_PATH
from ...errors import CheckpointError, ConfigError
from ..files.digest import file_digest
from ..files.places import read_places
from ..files.regular import check_weights_file
from ..model.base_model import BaseModel
from ..model.transformers_folder import converted, is_transformers_folder
from ..run_dir import TOWER_FILE, RunDir
from .run_config import BASE_FILE, run_config


def base_candidates(checkpoint: Path, base: BaseModel, given: Path | None = None) -> Iterator[Path]:
    """Files that may hold the base weights, `given` alone where somebody names it; the likeliest first.

    Beside the checkpoint, beside its run, where the run found it, and where a checkpoint of an earlier version says.
    """
    if given is not None:
        yield given
        return
    if base.name == MODEL_NAME and base.pretrained is None:
        yield WEIGHTS_PATH
    seen = set()
    for path in _places(checkpoint, base):
        try:
            if path.is_file() and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path
        except (OSError, ValueError):
            continue


def _places(checkpoint: Path, base: BaseModel) -> Iterator[Path]:
    if base.file_name:
        yield from (checkpoint / base.file_name, checkpoint.parent / base.file_name)
    run = RunDir(checkpoint.parent)
    yield run.base / TOWER_FILE
    known = read_places(run.path).get(BASE_FILE)
    if known is not None:
        yield from known.candidates(run.path)
    config = _config_of(run)
    if config is not None:
        if config.model.pretrained:
            yield Path(config.model.pretrained)
        yield Path(config.model.name) / TOWER_FILE
        if is_transformers_folder(Path(config.model.name)):
            yield converted(Path(config.model.name)) / TOWER_FILE
    yield from (Path(text) for text in (base.file, base.pretrained) if text and Path(text).is_absolute())
    if base.file is None and Path(base.name).is_absolute():
        yield Path(base.name) / TOWER_FILE


def known_base_file(checkpoint: Path, base: BaseModel, given: Path | None, is_unwanted: threading.Event) -> Path | None:
    """The safetensors file with the digest that the checkpoint names; None where none of the candidates is it."""
    if base.file_sha256 is None:
        return None
    for path in base_candidates(checkpoint, base, given):
        try:
            check_weights_file(path)
            if file_digest(path, is_unwanted) == base.file_sha256:
                return path
        except (OSError, ValueError):
            continue
    return None


def no_base_file(checkpoint: Path, base: BaseModel) -> CheckpointError:
    """What to raise where the weights of a base that came from a file are nowhere."""
    name = base.file_name or base.name
    return CheckpointError(
        f"{checkpoint}: its base model is not there: {name}: no such file beside it, nor where its run found it",
        hint=f"put {name} into {checkpoint}, or name it: --base FILE",
    )


def needless_base(checkpoint: Path) -> ConfigError:
    """What to raise where a base is named for what holds its whole model: its weights would not be used."""
    return ConfigError(f"--base: {checkpoint} holds its whole model, and reads no other file", hint="leave --base out")


def weights_folder(checkpoint: Path) -> Path | None:
    """Where the run of the checkpoint keeps weights that open_clip fetches; None where nothing says."""
    config = _config_of(RunDir(checkpoint.parent))
    return config.model.cache_dir if config is not None else None


def _config_of(run: RunDir) -> TrainConfig | None:
    if not run.config.is_file():
        return None
    try:
        return run_config(run)[0]
    except ConfigError:
        return None
