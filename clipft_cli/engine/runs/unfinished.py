"""A run that was interrupted: the one that is meant, and whether there is anything to go on with."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...errors import CheckpointError
from ..files.visible import quoted
from ..run_dir import OUTPUTS, RunDir, runs_in


def newest_unfinished_run(outputs: Path = OUTPUTS) -> RunDir:
    """The run that was interrupted last. Raises CheckpointError where there is none."""
    unfinished = [run for run in runs_in(outputs) if not run.is_finished and run.config.is_file()]
    if not unfinished:
        raise CheckpointError(f"{outputs}: no interrupted run here", hint="name it: --resume outputs/NAME")
    return max(unfinished, key=lambda run: run.config.stat().st_mtime)


def interrupted_run(path: Path | None, outputs: Path = OUTPUTS) -> RunDir:
    """The run to go on with: `path`, or the one interrupted last. Raises CheckpointError where it is none."""
    run = RunDir(path) if path is not None else newest_unfinished_run(outputs)
    refuse_finished(run)
    return run


def refuse_finished(run: RunDir) -> None:
    """Raises CheckpointError where `run` is none to go on with; asked again once it is locked, as another may have
    ended it meanwhile.
    """
    if not run.config.is_file():
        raise CheckpointError(
            f"{run.path}: is no run directory (it has no config.yaml)",
            hint="start a run: `clipft train --config clipft.yaml`",
        )
    if run.is_finished:
        shutil.rmtree(run.resume, ignore_errors=True)  # a kill right after the summary leaves it
        raise CheckpointError(
            f"{run.path}: this run is finished, there is nothing to resume",
            hint=f"train on from it: `clipft train --resume {quoted(run.path)} --more-epochs 5`, or with other settings"
            f" `--set model.name={quoted(run.path)}`; measure it: `clipft evaluate --checkpoint {quoted(run.path)}`",
        )
