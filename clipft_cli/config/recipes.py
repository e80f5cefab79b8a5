"""One TrainConfig for each method out of one file: what the file sets for one method spoils no other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from ..errors import ConfigError
from .compare import CompareConfig
from .load import load_config
from .methods import CONTRASTIVE_METHODS, METHOD_SECTIONS, MethodName
from .paths import anchored_value
from .source import read_yaml
from .train import TrainConfig

OBJECTIVE = "training.objective="
OWN_SECTIONS = {"training", *METHOD_SECTIONS}
OWN_KEYS = (("data", "augmentation"), ("data", "crop_scale_min"), ("model", "head"), ("model", "head_start"))
"""What a method's preset decides. All else (data, model, hardware, seed) is the same for every method."""


def method_recipes(
    file: Path | None, sets: Iterable[str] = (), flags: Mapping[str, Any] | None = None
) -> tuple[dict[MethodName, TrainConfig], tuple[str, ...]]:
    """The configuration each method would be trained with, and a sentence for each thing left out.

    The file's method and preset, and what only a method's recipe sets, hold for the file's own method; every
    other method starts from its own preset. `sets` and `flags` hold for all, but a `preset` for its own method alone.
    Raises ConfigError.
    """
    sets, flags = list(sets), dict(flags or {})
    whole = load_config(TrainConfig, file, sets, flags)
    own = whole.method
    shared_sets = [text for text in sets if text.partition("=")[0].strip() not in ("method", "preset")]
    recipes: dict[MethodName, TrainConfig] = {}
    left_out: tuple[str, ...] = ()
    for method in get_args(MethodName):
        if method == own:
            recipes[method] = load_config(
                TrainConfig, file, shared_sets, {**flags, "method": method, "preset": whole.preset}
            )
            continue
        values, left_out = _shared(file)
        sets_for_it = [text for text in shared_sets if method in CONTRASTIVE_METHODS or not text.startswith(OBJECTIVE)]
        recipes[method] = load_config(TrainConfig, None, sets_for_it, {**flags, "method": method}, base=values)
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (
            f"{file}: {', '.join(left_out)} are for {own}; the other methods start from their own presets"
            " (for all of them: --set KEY=VALUE)",
        )
    if any(text.startswith(OBJECTIVE) for text in shared_sets):
        notes += (f"training.objective is for {' and '.join(CONTRASTIVE_METHODS)} alone",)
    return recipes, notes


def preset_recipes(config: CompareConfig) -> dict[MethodName, TrainConfig]:
    """Each method by its own preset, with the seed of `config` and what it sets of data, model and hardware.

    But for what is each method's own: augmentation, smallest crop, head, and the head's start.
    """
    shared = config.model_dump(exclude_unset=True, exclude={"compare"})
    for section, key in OWN_KEYS:
        shared.get(section, {}).pop(key, None)
    return {method: load_config(TrainConfig, base={**shared, "method": method}) for method in get_args(MethodName)}


def _shared(file: Path | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The file's values that hold for every method, by dotted key; and the keys left out."""
    if file is None:
        return {}, ()
    values, _ = read_yaml(file.expanduser())
    shared: dict[str, Any] = {}
    left_out = []
    for key, value in values.items():
        if key in OWN_SECTIONS:
            left_out += [f"{key}.{name}" for name in value] if isinstance(value, Mapping) else []
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                if (key, name) in OWN_KEYS:
                    left_out.append(f"{key}.{name}")
                else:
                    shared[f"{key}.{name}"] = anchored_value(f"{key}.{name}", inner, file.expanduser().parent)
        elif key not in ("method", "preset", "output_dir"):
            shared[key] = value
    return shared, tuple(left_out)


def is_run_name(name: str) -> bool:
    """Whether a name means a run directory: it has a slash, or is a folder here and no method."""
    return name not in get_args(MethodName) and ("/" in name or Path(name).is_dir())


def check_names(names: Iterable[str]) -> None:
    """Raises ConfigError where a name is neither a method nor a run directory, or there is none."""
    names = list(names)
    methods = ", ".join(get_args(MethodName))
    if not names:
        raise ConfigError(
            "nothing is named to compare", hint=f"`clipft compare lora full`; methods: {methods}; or run directories"
        )
    for name in names:
        if name not in get_args(MethodName) and not is_run_name(name):
            near = difflib.get_close_matches(name.lower(), get_args(MethodName), n=1)
            guess = f", did you mean '{near[0]}'?" if near else ""
            raise ConfigError(
                f"{name!r} is neither a method nor a run directory here{guess}",
                hint=f"methods: {methods}; a run is named as outputs/NAME",
            )
