"""What is said in several places laid over one another: file, `--set`, options; every key by its first name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .base import Config, canonical_keys
from .file import FileConfig
from .source import Path_

Layer = tuple[dict[str, Any], dict[Path_, str]]
"""Nested values, and the place where each was said, by its path."""


def places_in(file: Path, lines: dict[Path_, int]) -> dict[Path_, str]:
    """The place of each key of a file, from the lines they stand in."""
    return {path: f"{file}:{line}" for path, line in lines.items()}


def parse_set(text: str, problems: list[str]) -> Layer:
    """What `--set KEY=VALUE` says; what cannot be read becomes a problem."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not all(key.split(".")):
        problems.append(f"--set {text}: must be key=value, such as training.num_epochs=5")
        return {}, {}
    try:
        parsed = yaml.safe_load(value) if value.strip() else None
    except (yaml.YAMLError, ValueError, RecursionError):
        problems.append(f"--set {text}: the value cannot be read (quote it for your shell)")
        return {}, {}
    return nested(key, parsed), {tuple(key.split(".")): "--set"}


def nested(key: str, value: Any) -> dict[str, Any]:
    """A value under a dotted key, as a file has it."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge_layers(layers: list[Layer], problems: list[str]) -> Layer:
    """All layers as one, of which the later wins."""
    merged: dict[str, Any] = {}
    origins: dict[Path_, str] = {}
    for values, places in layers:
        canonical = _canonical(FileConfig, values, (), places, problems)
        merged = merge(merged, canonical)
        origins.update({_first_names(path): place for path, place in places.items()})
    return merged, origins


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, key by key."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _canonical(model: type[Config], values: Any, path: Path_, places: Mapping[Path_, str], problems: list[str]) -> Any:
    """Second names become first names at every level, so that a later layer overrides an earlier one."""
    if values is None and path:
        return {}  # a section whose keys are all commented out
    if not isinstance(values, Mapping):
        return values
    try:
        renamed = canonical_keys(model, values)
    except ValueError as error:
        problems.append(": ".join((*place_of(path, places), ".".join(path), str(error))))
        renamed = {key: value for key, value in values.items() if key not in model.ALIASES}
    result = {}
    for key, value in renamed.items():
        kind = slice_at(model, key)
        here = (*path, str(key))
        result[str(key)] = _canonical(kind, value, here, places, problems) if kind is not None else value
    return result


def slice_at(model: type[Config], key: Any) -> type[Config] | None:
    """The slice that stands under `key`; None where a plain value does, or nothing."""
    field = model.model_fields.get(key) if isinstance(key, str) else None
    kind = field.annotation if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, Config) else None


def _first_names(path: Path_) -> Path_:
    model: type[Config] | None = FileConfig
    names = []
    for part in path:
        name = model.ALIASES.get(part, part) if model is not None else part
        names.append(name)
        model = slice_at(model, name) if model is not None else None
    return tuple(names)


def place_of(path: Path_, places: Mapping[Path_, str]) -> list[str]:
    """The place of `path`, or of the nearest key above it; empty where none is known."""
    return [places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places][:1]
