"""`clipft predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.load import load_config
from ..config.predict import PredictConfig
from .completion import devices, runs
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .predict_view import named_images, open_sink, show_outcome
from .render import Screen


def predict(
    context: typer.Context,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Files, folders, quoted patterns; - for a list, or an image, on standard input.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help=help_of("predict.top_k"))] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="DIR", help=help_of("predict.checkpoint"), path_type=str, autocompletion=runs
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="table|json|jsonl|csv|txt", help=help_of("predict.format"))
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=help_of("predict.output"), path_type=str)
    ] = None,
    threshold: Annotated[float | None, typer.Option(metavar="P", help=help_of("predict.threshold"))] = None,
    reject: Annotated[bool | None, typer.Option("--reject", help=help_of("predict.reject"), show_default=False)] = None,
    known_share: Annotated[float | None, typer.Option(metavar="SHARE", help=help_of("predict.known_share"))] = None,
    coverage: Annotated[float | None, typer.Option(metavar="SHARE", help=help_of("predict.coverage"))] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help=help_of("predict.data_dir"), path_type=str)
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", metavar="FILE", help=help_of("predict.embeddings"), path_type=str)
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", metavar="FILE", help=help_of("predict.base"), path_type=str)
    ] = None,
    graph: Annotated[str | None, typer.Option(metavar="int8|fp32", help=help_of("predict.graph"))] = None,
    batch_size: Annotated[int | None, typer.Option(help=help_of("predict.batch_size"))] = None,
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
    """Classify images with a fine-tuned model."""
    screen = Screen.of(context)
    flags = {
        "predict.top_k": top_k,
        "predict.checkpoint": checkpoint,
        "predict.format": form,
        "predict.output": output,
        "predict.threshold": threshold,
        "predict.reject": reject,
        "predict.known_share": known_share,
        "predict.coverage": coverage,
        "predict.data_dir": data_dir,
        "predict.embeddings": embeddings,
        "predict.base": base,
        "predict.graph": graph,
        "predict.batch_size": batch_size,
        "hardware.device": device,
    }
    settings = load_config(PredictConfig, config_file(config, screen.say), overrides or (), flags)
    names = named_images(images or [])

    from ..engine.predict import predict as run

    with open_sink(screen, settings.predict) as sink, screen.telling_of_stalls():
        summary = run(settings, names, sink, on_note=screen.say)
        sink.finish(summary)
    show_outcome(screen, settings.predict, summary)
