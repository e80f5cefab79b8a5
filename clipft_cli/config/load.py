"""Preset + YAML + command line -> one frozen config, or one ConfigError that names every problem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from ..errors import ConfigError
from .base import Config
from .file import FileConfig
from .layers import Layer, merge, merge_layers, nested, parse_set, places_in
from .methods import MethodName
from .paths import anchored
from .source import Path_, read_yaml
from .train import TrainConfig
from .wrong import near, problems_of, where_keys_are_listed

C = TypeVar("C", bound=Config)

PRESETS_DIR = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Names of the presets in the package, sorted."""
    return sorted(path.stem for path in PRESETS_DIR.glob("*.yaml"))


def load_config(
    slice_type: type[C],
    file: str | Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> C:
    """The slice `slice_type` of the merged configuration.

    Later wins: field defaults, preset, `base`, `file`, `sets` ("a.b=value"), `flags`; `base` and `flags` are by dotted
    key (None: not given).
    Raises ConfigError with all problems at once, each with its place.
    """
    config = resolve(file, sets, flags, base=base).config
    return slice_type.model_validate({name: getattr(config, name) for name in slice_type.model_fields})


@dataclass(frozen=True)
class Resolved:
    """The whole merged configuration, and where each of its values was said."""

    config: FileConfig
    origins: Mapping[Path_, str]
    of_preset: Mapping[str, Any]

    def origin(self, key: str) -> str:
        """`clipft.yaml:3`, `--set`, `preset lora`, `default`: what decided the key of this dotted name."""
        path = tuple(key.split("."))
        if path in self.origins:
            return self.origins[path]
        value: Any = self.of_preset
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        return f"preset {self.config.preset}" if value is not None else "default"


def resolve(
    file: str | Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> Resolved:
    """What `load_config` loads, with where each value comes from. Raises ConfigError."""
    problems: list[str] = []
    file = Path(file).expanduser() if file is not None else None
    layers: list[Layer] = [(nested(key, value), {}) for key, value in (base or {}).items()]
    if file is not None:
        values, lines = read_yaml(Path(file))
        layers.append((values, places_in(Path(file), lines)))
    layers += [parse_set(text, problems) for text in sets]
    layers += [
        (nested(key, value), {tuple(key.split(".")): "--" + key.split(".")[-1].replace("_", "-")})
        for key, value in (flags or {}).items()
        if value is not None
    ]
    merged, origins = merge_layers(layers, problems)
    of_file = {path for path, place in origins.items() if file is not None and place.startswith(f"{file}:")}
    if file is not None:
        _drop_weights_of_another_model(merged, values, of_file)
    merged = anchored(merged, of_file, file.parent if file is not None else Path())
    preset = _choose_preset(merged, origins, problems)
    merged = merge(preset, {key: value for key, value in merged.items() if key != "preset" or not preset})
    return Resolved(_validate(merged, origins, problems), origins, preset)


def _drop_weights_of_another_model(merged: dict[str, Any], file: Mapping[str, Any], of_file: set[Path_]) -> None:
    """A tag of weights that a file names belongs to its model: an option that takes another leaves the tag behind.

    A file of weights stays: the other model may be the very one that it fits.
    """
    name, weights = ("model", "name"), ("model", "pretrained")
    named = file["model"].get("name") if isinstance(file.get("model"), Mapping) else None
    if named is None or weights not in of_file or name in of_file or merged["model"].get("name") == named:
        return
    if not re.search(r"[/\\]|\.\w+$", str(file["model"]["pretrained"])):
        del merged["model"]["pretrained"]


def with_preset(config: TrainConfig) -> TrainConfig:
    """`config` with the values of its preset, or its method's own, where it leaves a key open.

    A config that `load_config` made has them already, and comes back equal. Raises ConfigError.
    """
    return load_config(TrainConfig, base=config.model_dump(exclude_unset=True))


def options_of(kind: type[C], **values: Any) -> C:
    """One slice from plain values. Raises ConfigError, with a line for each value that does not do."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(problems_of(error, {}))) from None


def dump_yaml(config: Config) -> str:
    """`config` as YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def yaml_value(value: object) -> str:
    """`value` in one line of YAML, quoted where it must be, as it can stand behind a key or in `--set KEY=VALUE`."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _choose_preset(merged: dict[str, Any], origins: dict[Path_, str], problems: list[str]) -> dict[str, Any]:
    """The preset's values; a preset names its method, and a method its preset."""
    name = merged.get("preset")
    method = merged.get("method")
    if name is None:
        # the reference system keeps LoRA in a file of its own, told apart by this section alone
        name = method if method is not None else "lora" if "lora" in merged else "full"
        if name not in get_args(MethodName):
            return {}  # validation names the wrong method
    if not isinstance(name, str) or name not in preset_names():
        place = origins.get(("preset",), "preset")
        problems.append(f"{place}: preset: unknown preset '{name}'{near(str(name), preset_names())}")
        return {}
    values, _ = read_yaml(PRESETS_DIR / f"{name}.yaml")
    if method is not None and method != values["method"]:
        places = origins.get(("method",)), origins.get(("preset",))
        if _is_over(*places):  # an option that names a method takes the place of a file's preset
            return _choose_preset({**merged, "preset": None}, origins, problems)
        if _is_over(*reversed(places)):
            del merged["method"]
            return {**values, "preset": name}
        problems.append(f"preset '{name}' is for method {values['method']}, but method is {method}")
    return {**values, "preset": name}


def _is_over(place: str | None, other: str | None) -> bool:
    """Whether what an option says stands against what a file says."""
    return place is not None and other is not None and place.startswith("--") and not other.startswith("--")


def _validate(merged: dict[str, Any], origins: dict[Path_, str], problems: list[str]) -> FileConfig:
    config: FileConfig | None = None
    try:
        config = FileConfig.model_validate(merged)
    except ValidationError as error:
        problems += problems_of(error, origins)
    problems = list(dict.fromkeys(problems))
    if problems or config is None:
        if len(problems) == 1:
            raise ConfigError(problems[0], hint=where_keys_are_listed())
        listed = "\n".join(f"  {line}" for line in problems)
        raise ConfigError(f"{len(problems)} problems in the configuration\n{listed}", hint=where_keys_are_listed())
    return config
