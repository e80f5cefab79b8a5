"""`clipft evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.evaluate import EvaluateConfig
from ..config.load import load_config
from .completion import devices, runs, splits
from .evaluate_view import EvaluateView, show_evaluated
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .render import Screen


def evaluate(
    context: typer.Context,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="DIR", help=help_of("evaluate.checkpoint"), path_type=str, autocompletion=runs
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="train|val|test", help=help_of("evaluate.split"), autocompletion=splits)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", "-d", help=help_of("evaluate.data_dir"), path_type=str)
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help=help_of("evaluate.output_dir"), path_type=str)
    ] = None,
    zero_shot: Annotated[
        bool | None, typer.Option("--zero-shot", help=help_of("evaluate.zero_shot"), show_default=False)
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", metavar="FILE", help=help_of("evaluate.base"), path_type=str)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help=help_of("evaluate.batch_size"))] = None,
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
    """Measure a fine-tuned model on a split: accuracy with intervals, per class, confusion, calibration."""
    screen = Screen.of(context)
    flags = {
        "evaluate.checkpoint": checkpoint,
        "evaluate.split": split,
        "evaluate.data_dir": data_dir,
        "evaluate.output_dir": output_dir,
        "evaluate.zero_shot": zero_shot,
        "evaluate.base": base,
        "evaluate.batch_size": batch_size,
        "hardware.device": device,
    }
    settings = load_config(EvaluateConfig, config_file(config, screen.say), overrides or (), flags)

    from ..engine.preflight import check_evaluation

    check_evaluation(settings)

    with screen.loading():
        from ..engine.evaluate import evaluate as run  # heavy

    with EvaluateView(screen) as view, screen.telling_of_stalls():
        result = run(settings, on_event=view)
    screen.result(result.to_json(), lambda console: show_evaluated(console, result, checkpoint))
