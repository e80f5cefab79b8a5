"""The configuration of a run with its paths as they hold now: from another working folder, or after a move."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...config.load import load_config
from ...config.train import TrainConfig
from ..files.places import places_text, read_places, where
from ..run_dir import RunDir

KEYS = ("data.dir", "model.name", "model.pretrained", "model.cache_dir", "cache.dir")
BASE_FILE = "base file"


def places_of(run: RunDir, config: TrainConfig, base_file: str | None) -> str:
    """Where the run finds its data set and its model, as it keeps it."""
    given = {key: Path(value) for key in KEYS if (value := _value(config, key)) is not None}
    return places_text(run.path, {**given, BASE_FILE: Path(base_file) if base_file else None})


def run_config(run: RunDir, named: Mapping[str, Path | None] | None = None) -> tuple[TrainConfig, list[str]]:
    """Its config.yaml with every path that is found, and a sentence for each that is not where it was given.

    `named` are places that somebody names now, by key; they go before. Raises ConfigError.
    """
    config = load_config(TrainConfig, run.config)
    known = read_places(run.path)
    flags: dict[str, str] = {}
    told = []
    for key in KEYS:
        given = _value(config, key)
        now = (named or {}).get(key)
        if now is not None:
            flags[key] = str(now)
        elif given is not None and (key in known or key == "data.dir" or os.sep in given or Path(given).suffix):
            found = where(run.path, key, given)
            if found is None or (Path(given).exists() and found.samefile(given)):
                continue
            flags[key] = str(found)
            told.append(f"{key} {given} is {found} here")
    return load_config(TrainConfig, run.config, flags=flags), told


def _value(config: TrainConfig, key: str) -> str | None:
    section, name = key.split(".")
    value = getattr(getattr(config, section), name)
    return None if value is None else str(value)
