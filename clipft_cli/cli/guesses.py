"""What was probably meant: a verb, an option, a key of the file, a path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ClipftError, ConfigError, NoPermission

OPTIONS = {"gpu": "--device cuda", "cuda": "--device cuda", "cpu": "--device cpu", "data": "--data-dir DIR"}
"""Options of other programs that are called otherwise here."""

_PLACES = frozenset({"checkpoint", "run", "source", "export", "image", "images"})
"""What some commands take by an option, and others without one."""

_MISSING = re.compile(r"^(?:[\w.]+: )?(?P<path>[^:\n]+): (no such|is no run directory|holds neither)")


def near(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'train'?`, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=2, cutoff=0.55)
    return f", did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


def usage_failure(error: Any, given: Sequence[str]) -> ClipftError:
    """What typer says of a wrong command line, in the form of every other error, with what was probably meant.

    `given` are the words of the command line.
    """
    context = error.ctx
    called = f"clipft {given[0]}" if given and not given[0].startswith("-") else "clipft"
    command = context.command_path if context is not None else called
    hint = f"`{command} -h` shows how it is called"
    option = getattr(error, "option_name", None)
    if option is not None:
        return _unknown_option(str(option), command, context)
    message = " ".join(error.format_message().split())
    unknown = re.fullmatch(r"No such command '(.*)'\.?.*", message)
    if unknown is not None:
        known = context.command.list_commands(context) if context is not None else []
        return ConfigError(
            f"{unknown[1]}: no such command{near(unknown[1], known)}", hint=f"commands: {', '.join(known)}"
        )
    closed = re.search(r"[Pp]ath '(.*)' is not readable", message)
    if closed is not None:
        return NoPermission(closed[1])
    return ConfigError(message[0].lower() + message[1:].removesuffix("."), hint=hint)


def _unknown_option(option: str, command: str, context: Any) -> ConfigError:
    name = option.lstrip("-")
    hint = f"`{command} -h` shows how it is called"
    if name in OPTIONS:
        return ConfigError(f"{option}: no such option of `{command}`", hint=f"it is `{OPTIONS[name]}`")
    key = _key_called(name.replace("-", "_"))
    if key is not None:
        hint = f"settings are given as `--set {key}=VALUE`; `clipft help config.{key}` explains it"
        return ConfigError(f"{option}: no such option of `{command}`", hint=hint)
    if name in _PLACES and (place := _place_of(context)):
        return ConfigError(
            f"{option}: no such option of `{command}`", hint=f"it is given as it is: `{command} {place}`"
        )
    known = [text for parameter in context.command.params for text in parameter.opts] if context is not None else []
    return ConfigError(f"{option}: no such option of `{command}`{near(option, known)}", hint=hint)


def _place_of(context: Any) -> str:
    """What stands for the command's first argument in its help; empty where it takes none."""
    parameters = context.command.params if context is not None else ()
    named = (parameter for parameter in parameters if parameter.param_type_name == "argument")
    first = next(named, None)
    return "" if first is None else str(first.metavar or first.name.upper())


def _key_called(name: str) -> str | None:
    from ..config.reference import find_key

    try:
        return find_key(name).name
    except ConfigError:
        return None


def with_near_path(error: ClipftError) -> ClipftError:
    """`error` with what lies beside a path that is not there and is called nearly as it."""
    found = _MISSING.match(error.message)
    if found is None or "did you mean" in error.message:
        return error
    path = Path(found["path"])
    try:
        siblings = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return error
    if path.name in siblings or not path.name:
        return error
    alike = difflib.get_close_matches(path.name, siblings, n=2, cutoff=0.6)
    if alike:
        from ..engine.files.visible import visible

        guess = " or ".join(visible(str(path.parent / name)) for name in alike)
        error.message += f", did you mean {guess}?"
        error.args = (error.message,)
    return error
