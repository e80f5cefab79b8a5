"""`clipft help`: what a command, a key of the configuration or a preset means, without a page of the docs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from ..config.reference import Key, all_keys, find_key, presets_in_words
from ..errors import ConfigError
from .completion import topics
from .guesses import near
from .options import AsJson, Debug, Quiet
from .render import Screen
from .streams import write_result


def help(
    context: typer.Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="A command, config, config.KEY, presets, or a preset.",
            show_default=False,
            autocompletion=topics,
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Explain a command, a key of the configuration, or a preset."""
    from .app import COMMANDS

    root = context.find_root()
    if topic is None:
        write_result(root.get_help() + "\n")
        return
    if topic in COMMANDS:
        command = root.command.get_command(root, topic)  # type: ignore[attr-defined]
        with command.make_context(topic, [], parent=root, resilient_parsing=True) as inner:
            write_result(command.get_help(inner) + "\n")
        return
    screen = Screen.of(context)
    told = _told(topic, COMMANDS)
    screen.result(told, lambda console: console.print(_as_text(told), soft_wrap=not console.is_terminal))


def _told(topic: str, commands: Iterable[str]) -> dict[str, str]:
    """What is known of the topic, by name. Raises ConfigError for what is none."""
    presets = presets_in_words()
    if topic == "presets":
        return presets
    if topic == "config":
        return _section("")
    if topic in presets:
        return {topic: presets[topic]} | {
            key.name: key.value_text(key.by_preset[topic]) for key in all_keys().values() if topic in key.by_preset
        }
    name = topic.removeprefix("config.")
    section = {
        key.name: f"{key.default}. {key.meaning}" for key in all_keys().values() if key.name.startswith(f"{name}.")
    }
    if section:
        return dict(section)
    try:
        return _facts(find_key(name))
    except ConfigError as error:
        guess = near(topic, [*commands, *presets, "presets", "config"])
        if guess and "did you mean" not in error.message:
            raise ConfigError(f"{error.message}{guess}", hint=error.hint) from None
        raise


def _section(begins: str) -> dict[str, str]:
    """Each key whose name begins so, with its default and what it means."""
    keys = (key for key in all_keys().values() if key.name.startswith(begins))
    return {key.name: f"{key.default}. {key.meaning}" for key in keys}


def _facts(key: Key) -> dict[str, str]:
    facts = {"key": key.name, "meaning": key.meaning, "default": key.default}
    if key.choices:
        facts["choices"] = ", ".join(key.choices)
    if key.aliases:
        facts["also called"] = ", ".join(key.aliases)
    value = key.value_text(next(iter(key.by_preset.values()), key.field.get_default()))
    facts["for one run"] = f"--set {key.name}={value}"
    return facts


def _as_text(told: dict[str, str]) -> str:
    width = min(24, max(len(name) for name in told))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in told.items())
