"""Options that commands share; help text comes from the config fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config.words import NOTHING
from .completion import settings

if TYPE_CHECKING:
    from ..config.base import Config


STARTER = Path("clipft.yaml")
"""What `clipft prepare` writes, and every command reads where it lies in the folder it is called from."""


@dataclass
class Mode:
    """How this invocation speaks, kept on the root context for the error boundary."""

    as_json: bool = False
    quiet: bool = False
    debug: bool = False
    verbose: bool = False


def mode_of(context: typer.Context) -> Mode:
    """The Mode of the invocation `context` belongs to."""
    mode: Mode = context.find_root().ensure_object(Mode)
    return mode


def _remember(name: str) -> Callable[[typer.Context, bool], bool]:
    def callback(context: typer.Context, value: bool) -> bool:
        setattr(mode_of(context), name, value)
        return value

    return callback


def help_of(key: str) -> str:
    """Description of a dotted config key, with the key itself, so that help and file use one name."""
    from ..config.file import FileConfig  # `clipft --help` needs no word of it

    model: type[Config] = FileConfig
    *sections, last = key.split(".")
    for section in sections:
        model = model.model_fields[section].annotation  # type: ignore[assignment]
    return f"{model.model_fields[last].description} [{key}]"


def config_file(given: Path | None, say: Callable[[str], None]) -> Path | None:
    """The file to read: the one given, else the clipft.yaml that lies here, which is said; None with `none`."""
    if given is not None:
        return None if str(given).strip().lower() in NOTHING else Path(given)
    if not STARTER.is_file():
        return None
    say(f"reading {STARTER} (--config none: without it)")
    return STARTER


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="YAML file, of which every command takes its own part; where none is named the clipft.yaml of this folder;"
        " none: without one.",
        path_type=str,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override one key, e.g. training.num_epochs=5; repeatable.",
        autocompletion=settings,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_remember("as_json"),
        help="Print the result as one JSON object, nothing else on stdout.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_remember("quiet"), help="No progress, no plan: results only."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_remember("verbose"), help="Every layer group of the plan by itself."),
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember("debug"), help="Show tracebacks and library messages.")
]
