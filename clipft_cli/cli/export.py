"""`clipft export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.export import ExportConfig
from ..config.load import load_config
from .completion import runs
from .evaluate_view import EvaluateView
from .export_view import show_export
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .render import Screen


def export(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help=help_of("export.checkpoint"), show_default=False, path_type=str, autocompletion=runs
        ),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", "-t", metavar="FORMAT", help=help_of("export.to"))] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help=help_of("export.output_dir"), path_type=str)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", "-d", help=help_of("export.data_dir"), path_type=str)
    ] = None,
    images: Annotated[str | None, typer.Option(metavar="N|all", help=help_of("export.images"))] = None,
    int8: Annotated[bool | None, typer.Option("--int8", help=help_of("export.int8"), show_default=False)] = None,
    force: Annotated[bool | None, typer.Option("--force", help=help_of("export.force"), show_default=False)] = None,
    with_sample: Annotated[
        bool | None, typer.Option("--with-sample", help=help_of("export.with_sample"), show_default=False)
    ] = None,
    runtime: Annotated[
        Path | None, typer.Option("--runtime", metavar="DIR", help=help_of("export.runtime"), path_type=str)
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", metavar="FILE", help=help_of("export.base"), path_type=str)
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a fine-tuned model in a format that others use; it is read back and compared before it is kept."""
    screen = Screen.of(context)
    flags = {
        "export.checkpoint": run,
        "export.to": to,
        "export.output_dir": output,
        "export.data_dir": data_dir,
        "export.images": images,
        "export.int8": int8,
        "export.force": force,
        "export.with_sample": with_sample,
        "export.base": base,
        "export.runtime": runtime,
    }
    settings = load_config(ExportConfig, config_file(config, screen.say), overrides or (), flags)

    from ..engine.preflight import check_export

    check_export(settings)

    with screen.loading():
        from ..engine.export import export as work  # heavy

    with EvaluateView(screen) as view, screen.telling_of_stalls():
        result = work(settings, on_event=view)
    screen.result(result.to_json(), lambda console: show_export(console, result))
