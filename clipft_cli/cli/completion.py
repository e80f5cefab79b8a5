"""Words that the shell completes: methods, presets, splits, keys, runs, topics of help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

import typer

from ..config.data import SplitName
from ..config.methods import METHOD_FACTS


def _beginning(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return complete


def _preset_names() -> list[str]:
    from ..config.load import preset_names

    return preset_names()


def _settings() -> list[str]:
    from ..config.reference import all_keys

    found = []
    for key in all_keys().values():
        found += [f"{key.name}={word}" for word in key.choices] or [f"{key.name}="]
    return found


def _runs() -> list[str]:
    from ..engine.run_dir import OUTPUTS, RunDir

    try:
        return [str(path) for path in sorted(OUTPUTS.iterdir()) if RunDir(path).config.is_file()]
    except OSError:
        return []


def topics(context: typer.Context, incomplete: str) -> list[str]:
    """What `clipft help` explains: the commands, as the one that is called knows them, keys and presets."""
    from ..config.reference import all_keys

    root = context.find_root()
    commands = root.command.list_commands(root)  # type: ignore[attr-defined]
    words = [*commands, "config", "presets", *_preset_names(), *(f"config.{name}" for name in all_keys())]
    return [word for word in words if word.startswith(incomplete)]


methods = _beginning(lambda: METHOD_FACTS)
presets = _beginning(_preset_names)
splits = _beginning(lambda: get_args(SplitName))
settings = _beginning(_settings)
runs = _beginning(_runs)
contenders = _beginning(lambda: [*METHOD_FACTS, *_runs()])
devices = _beginning(lambda: ("auto", "cpu", "cuda", "mps"))
