"""`clipft serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.load import load_config
from ..config.serve import ServeConfig
from .evaluate_view import EvaluateView
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .render import Screen


def serve(
    context: typer.Context,
    export: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help=help_of("serve.export"), show_default=False, path_type=str),
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help=help_of("serve.host"))] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", metavar="N", help=help_of("serve.port"))] = None,
    graph: Annotated[str | None, typer.Option(metavar="int8|fp32", help=help_of("serve.graph"))] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer over HTTP with an ONNX export: POST /predict, /health, /metrics, /openapi.json, and a page at /."""
    screen = Screen.of(context)
    flags = {"serve.export": export, "serve.host": host, "serve.port": port, "serve.graph": graph}
    settings = load_config(ServeConfig, config_file(config, screen.say), overrides or (), flags)

    from ..engine.serve import serve as work  # heavy

    with EvaluateView(screen) as view:
        work(settings, view, lambda url: screen.say(f"serving on {url}, until Ctrl-C"))
    screen.result({"served": str(settings.serve.export)}, lambda console: None)
