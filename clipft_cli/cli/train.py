"""`clipft train`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..config.load import dump_yaml, load_config, resolve
from ..config.reference import explained, json_schema
from ..config.train import TrainConfig
from ..errors import ConfigError
from .completion import devices, methods, presets, runs
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, Verbose, config_file, help_of
from .render import Screen, print_json
from .streams import write_result
from .train_view import TrainView, show_dry_run, show_trained


def train(
    context: typer.Context,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help=help_of("method"), autocompletion=methods)
    ] = None,
    preset: Annotated[str | None, typer.Option(help=help_of("preset"), autocompletion=presets)] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", "-d", help=help_of("data.dir"), path_type=str)] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help=help_of("output_dir"), path_type=str)
    ] = None,
    seed: Annotated[int | None, typer.Option(help=help_of("seed"))] = None,
    few_shot: Annotated[int | None, typer.Option(metavar="K", help=help_of("data.few_shot"))] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help=help_of("hardware.device"), autocompletion=devices),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run: RUN, or the newest one.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="With --resume: the run directory.", show_default=False, autocompletion=runs
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base",
            metavar="FILE",
            help="With --resume: the base model's weights, where they were moved.",
        ),
    ] = None,
    more_epochs: Annotated[
        int | None,
        typer.Option(
            "--more-epochs", min=1, metavar="N", help="With --resume RUN, a finished one: N epochs more, as a new run."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan with measured speed and memory; train nothing.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the resolved configuration and stop.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print it with where each value comes from and what it means.")
    ] = False,
    print_schema: Annotated[
        bool, typer.Option("--print-schema", help="Print the JSON schema of the file, for editors, and stop.")
    ] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a CLIP model on a prepared data set."""
    if print_schema:
        write_result(json.dumps(json_schema(), indent=2) + "\n")
        return
    flags = {
        "method": method,
        "preset": preset,
        "data.dir": data_dir,
        "output_dir": output_dir,
        "seed": seed,
        "data.few_shot": few_shot,
        "hardware.device": device,
    }
    fixed = {key: value for key, value in flags.items() if key != "data.dir" or not resume}
    printed = print_config or explain or None
    _check_resume(resume, run, config, overrides, {**fixed, "dry_run": dry_run or None, "print": printed})
    _check_run_options(resume, run, base, more_epochs)
    screen = Screen.of(context)
    file = None if resume else config_file(config, screen.say)
    settings = load_config(TrainConfig, file, overrides or (), flags)
    if printed and as_json:
        print_json(settings.model_dump(mode="json"))
    elif printed:
        text = explained(resolve(file, overrides or (), flags), TrainConfig) if explain else dump_yaml(settings)
        write_result(text)
    if printed:
        return

    from ..engine.preflight import check_going_on

    run, data_dir, base = (path and Path(path).expanduser() for path in (run, data_dir, base))
    is_finished = more_epochs is not None
    check_going_on(settings, run, data_dir, is_resumed=resume, is_finished=is_finished, is_written=not dry_run)

    with screen.loading():
        from ..engine import train as engine  # heavy

    with TrainView(screen) as view, screen.telling_of_stalls():
        if dry_run:
            rehearsed = engine.dry_run(settings, view)
        elif run is not None and more_epochs is not None:
            result = engine.train_on(run, more_epochs, view, data_dir=data_dir)
        else:
            result = engine.resume(run, view, data_dir=data_dir, base=base) if resume else engine.train(settings, view)
    if dry_run:
        screen.result(rehearsed, lambda out: show_dry_run(out, rehearsed))
    else:
        screen.result(result.to_json(), lambda out: show_trained(out, result))


def _check_run_options(resume: bool, run: Path | None, base: Path | None, more_epochs: int | None) -> None:
    if base is not None and not resume:
        raise ConfigError("--base says where the base weights of a run to go on with are", hint="add --resume RUN")
    if more_epochs is not None and run is None:
        raise ConfigError("--more-epochs trains on from a finished run", hint="name it: --resume RUN --more-epochs 5")


def _check_resume(
    resume: bool, run: Path | None, config: Path | None, overrides: list[str] | None, flags: Mapping[str, object]
) -> None:
    if run is not None and not resume:
        raise ConfigError(
            f"unexpected argument '{run}'", hint=f"to go on with a run: `clipft train --resume {shlex.quote(str(run))}`"
        )
    changed = config is not None or overrides or any(value is not None for value in flags.values())
    if resume and changed:
        raise ConfigError(
            "--resume goes on with the run's own config: no other option can change it",
            hint="start a new run to change settings (--data-dir and --base say where its data set and base weights are"
            " now)",
        )
