"""`clipft evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config.evaluate import EvaluateConfig
from ..config.load import load_config
from .asking import with_answers
from .completion import devices, runs, splits
from .evaluate_view import EvaluateView, show_evaluated
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .render import Screen

if TYPE_CHECKING:
    from ..engine.pages.evaluation import Evaluation


def _raw(key: str, metavar: str, **more: Any) -> Any:
    """An option of `evaluate.read`, for images that were never prepared."""
    text = f"{help_of(f'evaluate.read.{key}')}{' Repeatable.' if metavar.startswith(('GLOB', 'FROM')) else ''}"
    return typer.Option(f"--{key.replace('_', '-')}", metavar=metavar, help=text, **more)


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
    graph: Annotated[str | None, typer.Option(metavar="int8|fp32", help=help_of("evaluate.graph"))] = None,
    batch_size: Annotated[int | None, typer.Option(help=help_of("evaluate.batch_size"))] = None,
    paths: Annotated[str | None, _raw("paths", "TEMPLATE")] = None,
    image_column: Annotated[str | None, _raw("image_column", "NAME")] = None,
    label_column: Annotated[str | None, _raw("label_column", "NAME")] = None,
    split_column: Annotated[str | None, _raw("split_column", "NAME")] = None,
    split_lists: Annotated[str | None, _raw("split_lists", "TEMPLATE")] = None,
    image_root: Annotated[Path | None, _raw("image_root", "FOLDER", path_type=str)] = None,
    encoding: Annotated[str | None, _raw("encoding", "NAME")] = None,
    include: Annotated[list[str] | None, _raw("include", "GLOB")] = None,
    exclude: Annotated[list[str] | None, _raw("exclude", "GLOB")] = None,
    merge: Annotated[list[str] | None, _raw("merge", "FROM=INTO|alike|none")] = None,
    min_size: Annotated[int | None, _raw("min_size", "PX")] = None,
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
        "evaluate.graph": graph,
        "evaluate.batch_size": batch_size,
        "hardware.device": device,
        **{
            f"evaluate.read.{key}": value or None
            for key, value in {
                "paths": paths,
                "image_column": image_column,
                "label_column": label_column,
                "split_column": split_column,
                "split_lists": split_lists,
                "image_root": image_root,
                "encoding": encoding,
                "include": include,
                "exclude": exclude,
                "merge": merge,
                "min_size": min_size,
            }.items()
        },
    }
    settings = load_config(EvaluateConfig, config_file(config, screen.say), overrides or (), flags)

    from ..engine.preflight import check_evaluation, needs_torch

    check_evaluation(settings)

    with screen.loading(with_torch=needs_torch(settings)):
        from ..engine.evaluate import evaluate as run  # heavy
        from ..engine.sources.same_again import answered_for_evaluate

    result = with_answers(screen, settings, lambda config: _watched(screen, config, run), answered_for_evaluate)
    screen.result(result.to_json(), lambda console: show_evaluated(console, result, checkpoint))


def _watched(screen: Screen, config: EvaluateConfig, run: Callable[..., Evaluation]) -> Evaluation:
    with EvaluateView(screen) as view, screen.telling_of_stalls():
        return run(config, on_event=view)
