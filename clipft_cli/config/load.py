"""Preset + YAML + command line -> one frozen config, or one ConfigError that names every problem."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from ..errors import ConfigError
from .base import Config, canonical_keys
from .file import FileConfig
from .methods import MethodName
from .paths import anchored
from .source import Path_, read_yaml
from .train import TrainConfig

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
    layers: list[tuple[dict[str, Any], dict[Path_, str]]] = [
        (_nested(key, value), {}) for key, value in (base or {}).items()
    ]
    if file is not None:
        values, lines = read_yaml(Path(file))
        layers.append((values, _origins(Path(file), lines)))
    layers += [_parse_set(text, problems) for text in sets]
    layers += [
        (_nested(key, value), {tuple(key.split(".")): "--" + key.split(".")[-1].replace("_", "-")})
        for key, value in (flags or {}).items()
        if value is not None
    ]
    merged, origins = _merge_layers(layers, problems)
    of_file = {path for path, place in origins.items() if file is not None and place.startswith(f"{file}:")}
    if file is not None:
        _drop_weights_of_another_model(merged, values, of_file)
    merged = anchored(merged, of_file, file.parent if file is not None else Path())
    preset = _choose_preset(merged, origins, problems)
    merged = _merge(preset, {key: value for key, value in merged.items() if key != "preset" or not preset})
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
        raise ConfigError("; ".join(_problems_of(error, {}))) from None


def dump_yaml(config: Config) -> str:
    """`config` as YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def yaml_value(value: object) -> str:
    """`value` in one line of YAML, quoted where it must be, as it can stand behind a key or in `--set KEY=VALUE`."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _origins(file: Path, lines: dict[Path_, int]) -> dict[Path_, str]:
    return {path: f"{file}:{line}" for path, line in lines.items()}


def _parse_set(text: str, problems: list[str]) -> tuple[dict[str, Any], dict[Path_, str]]:
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
    return _nested(key, parsed), {tuple(key.split(".")): "--set"}


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _merge_layers(
    layers: list[tuple[dict[str, Any], dict[Path_, str]]], problems: list[str]
) -> tuple[dict[str, Any], dict[Path_, str]]:
    merged: dict[str, Any] = {}
    origins: dict[Path_, str] = {}
    for values, places in layers:
        canonical = _canonical(FileConfig, values, (), places, problems)
        merged = _merge(merged, canonical)
        origins.update({_first_names(path): place for path, place in places.items()})
    return merged, origins


def _canonical(model: type[Config], values: Any, path: Path_, places: Mapping[Path_, str], problems: list[str]) -> Any:
    """Second names become first names at every level, so that a later layer overrides an earlier one."""
    if values is None and path:
        return {}  # a section whose keys are all commented out
    if not isinstance(values, Mapping):
        return values
    try:
        renamed = canonical_keys(model, values)
    except ValueError as error:
        problems.append(": ".join((*_place_of(path, places), ".".join(path), str(error))))
        renamed = {key: value for key, value in values.items() if key not in model.ALIASES}
    result = {}
    for key, value in renamed.items():
        kind = _slice_at(model, key)
        here = (*path, str(key))
        result[str(key)] = _canonical(kind, value, here, places, problems) if kind is not None else value
    return result


def _slice_at(model: type[Config], key: Any) -> type[Config] | None:
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
        model = _slice_at(model, name) if model is not None else None
    return tuple(names)


def _place_of(path: Path_, places: Mapping[Path_, str]) -> list[str]:
    """The place of `path`, or of the nearest key above it; empty where none is known."""
    return [places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places][:1]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


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
        problems.append(f"{place}: preset: unknown preset '{name}'{_near(str(name), preset_names())}")
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
        problems += _problems_of(error, origins)
    problems = list(dict.fromkeys(problems))
    if problems or config is None:
        if len(problems) == 1:
            raise ConfigError(problems[0], hint=_hint())
        listed = "\n".join(f"  {line}" for line in problems)
        raise ConfigError(f"{len(problems)} problems in the configuration\n{listed}", hint=_hint())
    return config


def _hint() -> str:
    return "`clipft help config` lists every key, `clipft help config.KEY` says what one means"


_ALTERNATIVE = re.compile(r"(literal|tuple|constrained-\w+|function-\w+|bool|int|float|str|none)(\[.*\])?")
"""What pydantic puts into a place where a value may be of several kinds."""


def _problems_of(error: ValidationError, origins: dict[Path_, str]) -> list[str]:
    """A line for each key; where a value may be of several kinds, all that it could be."""
    by_path: dict[Path_, list[Any]] = {}
    for detail in error.errors():
        places = [str(part) for part in detail["loc"]]
        n_keys = 1 if detail["type"] == "extra_forbidden" else 0  # an unknown key may itself be called `none` or `int`
        above, keys = places[: len(places) - n_keys], places[len(places) - n_keys :]
        path = (*(part for part in above if not _ALTERNATIVE.fullmatch(part)), *keys)
        by_path.setdefault(path, []).append(detail)
    return [_problem(path, details, origins) for path, details in by_path.items()]


def _problem(path: Path_, details: list[Any], origins: dict[Path_, str]) -> str:
    detail = details[0]
    where = ": ".join((*_place_of(path, origins), ".".join(path) or "the file"))
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key{_near(path[-1], _siblings(path))}"
    texts = [each["msg"].removeprefix("Value error, ").removeprefix("Input should be ") for each in details]
    text = " or ".join(text[0].lower() + text[1:] for text in dict.fromkeys(texts) if text) or "not valid"
    given = detail.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    lead = "should be " if detail["msg"].startswith("Input should be ") else ""
    return f"{where}: {lead}{text}{shown}"


def _siblings(path: Path_) -> list[str]:
    model: type[Config] = FileConfig
    for part in path[:-1]:
        kind = _slice_at(model, part)
        if kind is None:
            return []
        model = kind
    return [*model.model_fields, *model.ALIASES]


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
    if near:
        return ", did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return f"; known here: {', '.join(known)}" if 0 < len(known) <= 30 else ""
