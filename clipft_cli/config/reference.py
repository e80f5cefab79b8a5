"""What can be said of each key: its meaning, its default, and what the presets make of it. Help, docs, the schema for
editors and `--print-config --explain` all ask here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic.fields import FieldInfo

from ..errors import ConfigError
from .base import Config, may_be_open
from .file import FileConfig
from .load import PRESETS_DIR, Resolved, preset_names, yaml_value
from .source import read_yaml
from .synonyms import MEANT

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Key:
    """One key of the file. `aliases` are its other names; `by_preset` the values of presets that have their own."""

    name: str
    field: FieldInfo
    model: type[Config]
    aliases: tuple[str, ...]
    by_preset: Mapping[str, Any]

    @property
    def meaning(self) -> str:
        """One or two sentences."""
        return self.field.description or ""

    @property
    def default(self) -> str:
        """As YAML has it; what presets say first, since every run has one."""
        own = self.value_text(self.field.get_default())
        shared: dict[str, list[str]] = {}
        for preset, value in self.by_preset.items():
            if (text := self.value_text(value)) != own:
                shared.setdefault(text, []).append(preset)
        if not shared:
            return own
        told = [f"{text} with {', '.join(presets)}" for text, presets in shared.items()]
        return "; ".join([*told, f"else {own}"])

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it may be, where it is one of a few."""
        return tuple(str(word) for word in _words(self.field.annotation))

    def value_text(self, value: Any) -> str:
        """A value in one line of YAML."""
        if value is None:
            return "none" if may_be_open(self.model, self.name.rpartition(".")[2]) else "null"
        return yaml_value(_plain(value))


def _plain(value: Any) -> Any:
    """A path, a tuple, a nested section: as JSON has them."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    return value if isinstance(value, str | int | float | bool | dict) or value is None else str(value)


def _words(kind: Any) -> Iterator[Any]:
    for part in get_args(kind):
        if isinstance(part, str):
            yield part
        else:
            yield from _words(part)


@cache
def all_keys() -> dict[str, Key]:
    """Every key of the file by its dotted name, in the order of the docs."""
    presets = {name: read_yaml(PRESETS_DIR / f"{name}.yaml")[0] for name in preset_names()}
    return {key.name: key for key in _keys(FileConfig, "", presets)}


def _keys(model: type[Config], prefix: str, presets: Mapping[str, Mapping[str, Any]]) -> Iterator[Key]:
    sections = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Config):
            sections.append((name, kind))
            continue
        dotted = f"{prefix}{name}"
        found = {preset: value for preset, values in presets.items() if (value := _at(values, dotted)) is not None}
        aliases = tuple(alias for alias, target in model.ALIASES.items() if target == name)
        yield Key(dotted, field, model, aliases, found if prefix else {})
    for name, kind in sections:
        yield from _keys(kind, f"{prefix}{name}.", presets)


def _at(values: Mapping[str, Any], dotted: str) -> Any:
    found: Any = values
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def find_key(name: str) -> Key:
    """The key called `name`, by its dotted name or its end. Raises ConfigError with the ones that are near."""
    keys = all_keys()
    name = MEANT.get(name.rpartition(".")[2], name) if name not in keys else name
    if name in keys:
        return keys[name]
    ends = [key for key in keys.values() if name in (key.name.rpartition(".")[2], *key.aliases)]
    if len(ends) == 1:
        return ends[0]
    near = [key.name for key in ends] or [
        key for key in keys if name in key or key in difflib.get_close_matches(name, keys, n=3, cutoff=0.6)
    ]
    guess = f", did you mean {' or '.join(near[:5])}?" if near else ""
    raise ConfigError(f"no key is called '{name}'{guess}", hint="`clipft help config` lists all of them")


def presets_in_words() -> dict[str, str]:
    """Each preset with the first sentence of its file."""
    told = {}
    for name in preset_names():
        comment = (PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8").split("\n", 1)[0]
        told[name] = comment.removeprefix("#").strip()
    return told


def json_schema() -> dict[str, Any]:
    """JSON schema of the whole file, for editors: with a key's second names, what presets make of it, and `none`."""
    schema = FileConfig.model_json_schema()
    for key in all_keys().values():
        section = schema if key.model is FileConfig else schema["$defs"][key.model.__name__]
        field = key.name.rpartition(".")[2]
        entry = section["properties"][field]
        if key.default != key.value_text(key.field.get_default()):
            entry["description"] = f"{key.meaning} Default: {key.default}."
        if may_be_open(key.model, field) and "anyOf" in entry:
            entry["anyOf"].append({"enum": ["none", "null"]})
        for alias in key.aliases:
            section["properties"][alias] = entry
    return schema


def explained(resolved: Resolved, slice_type: type[C]) -> str:
    """A resolved configuration as YAML, each value with where it comes from and what it means."""
    config = resolved.config
    lines = [f"# {len(all_keys())} keys in all: `clipft help config`; one of them: `clipft help config.KEY`."]
    lines += _explained(config, slice_type, "", resolved)
    return "\n".join(lines) + "\n"


def _explained(config: Config, model: type[Config], prefix: str, resolved: Resolved) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name in model.model_fields:
        value = getattr(config, name)
        dotted = f"{prefix}{name}"
        if isinstance(value, Config):
            yield f"{indent}{name}:"
            yield from _explained(value, type(value), f"{dotted}.", resolved)
            continue
        key = all_keys()[dotted]
        yield f"{indent}{name}: {key.value_text(value)}  # {resolved.origin(dotted)}. {key.meaning}"
