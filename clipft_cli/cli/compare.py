"""`clipft compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.compare import CompareConfig
from ..config.load import load_config
from ..config.methods import METHOD_NAMES
from ..config.recipes import check_names, method_recipes
from .compare_view import CompareView, show_compared
from .completion import contenders, devices
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .render import Screen


def compare(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD|RUN",
            help=f"{', '.join(METHOD_NAMES)}, or run directories.",
            show_default=False,
            autocompletion=contenders,
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", "-d", help=help_of("data.dir"), path_type=str)] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help=help_of("compare.seeds"))] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help=help_of("compare.budget"))] = None,
    no_train: Annotated[
        bool | None, typer.Option("--no-train", help=help_of("compare.no_train"), show_default=False)
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="test", help=help_of("compare.split"))] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help=help_of("compare.output_dir"), path_type=str)
    ] = None,
    retention: Annotated[
        Path | None, typer.Option(metavar="DIR", help=help_of("compare.retention"), path_type=str)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help=help_of("hardware.device"), autocompletion=devices),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Which way of fine-tuning is worth its cost on these images, and how sure that is."""
    screen = Screen.of(context)
    shared = {"data.dir": data_dir, "hardware.device": device}
    flags = {
        **shared,
        "compare.names": tuple(names) if names else None,
        "compare.seeds": seeds,
        "compare.budget": budget,
        "compare.no_train": no_train,
        "compare.split": split,
        "compare.output_dir": output_dir,
        "compare.retention": retention,
    }
    file = config_file(config, screen.say)
    settings = load_config(CompareConfig, file, overrides or (), flags)
    check_names(settings.compare.names)
    recipes, notes = method_recipes(file, overrides or (), shared)

    from ..engine.preflight import check_comparison

    check_comparison(settings)

    with screen.loading():
        from ..engine.compare import compare as run  # heavy

    with CompareView(screen) as view, screen.telling_of_stalls():
        result = run(settings, recipes, on_event=view, notes=notes)
    screen.result(result.to_json(), lambda console: show_compared(console, result))
