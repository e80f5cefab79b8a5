"""What is refused at once: a wrong path is found here, without torch, which takes seconds to import.

Each check is made again, with all others, by the command itself.
"""

from __future__ import annotations

from pathlib import Path

from ..config.compare import CompareConfig
from ..config.evaluate import EvaluateConfig
from ..config.export import ExportConfig
from ..config.recipes import is_run_name
from ..config.train import TrainConfig
from ..errors import DataError
from .checkpoint.run_config import run_config
from .checkpoint.subject import data_dir_of
from .exports.measurable import subject_of
from .files.places import read_places
from .manifest import refuse_moved, require_data_set, require_training_images
from .run_dir import find_checkpoint, is_export
from .runs.new_run import refuse_taken
from .runs.unfinished import interrupted_run
from .sources.unprepared import is_unprepared
from .trackers.reporting import require_trackers


def check_training(config: TrainConfig, *, is_written: bool = True) -> None:
    """Raises DataError where there is no data set to train on, ResourceError where the run is to be written to a folder
    that is taken.
    """
    require_trackers(config.training.report_to)
    require_training_images(config.data.dir)
    if config.output_dir is not None and is_written:
        refuse_taken(config.output_dir)


def check_going_on(
    config: TrainConfig,
    run: Path | None,
    data_dir: Path | None,
    *,
    is_resumed: bool,
    is_finished: bool,
    is_written: bool,
) -> None:
    """For a new run, for one to resume, or for a finished one to train on from. Raises as the others here do."""
    if not is_resumed:
        check_training(config, is_written=is_written)
    elif not is_finished:
        check_resumption(run, data_dir)


def check_comparison(config: CompareConfig) -> None:
    """Raises DataError where the data set that was named is none, ResourceError where its folder is taken."""
    has_runs = any(is_run_name(name) for name in config.compare.names)  # whose own data set it is then
    if has_runs and "dir" in config.data.model_fields_set:
        refuse_moved(config.data.dir, config.compare.names)
    if "dir" in config.data.model_fields_set or not has_runs:
        require_training_images(config.data.dir)
    if config.compare.output_dir is not None:
        refuse_taken(config.compare.output_dir)


def check_resumption(path: Path | None, data_dir: Path | None = None) -> None:
    """Raises CheckpointError where there is no run to go on with (None: any), DataError where its data set is gone."""
    run = interrupted_run(path)
    config, _ = run_config(run, {"data.dir": data_dir})
    if not config.data.dir.exists():
        then = read_places(run.path).get("data.dir")
        was = f"; it was at {then.absolute}" if then else ""
        raise DataError(
            f"{config.data.dir}: the data set of this run is not there (looked from {Path.cwd()} and from"
            f" {run.path}{was})",
            hint=f"name it: `clipft train --resume {run.path} --data-dir DIR`",
        )
    require_data_set(config.data.dir)


def check_evaluation(config: EvaluateConfig) -> None:
    """Raises CheckpointError where there is no checkpoint to measure, DataError where there is no data set."""
    data_dir = data_dir_of(config, subject_of(config))
    if not is_unprepared(data_dir):
        require_data_set(data_dir)


def needs_torch(config: EvaluateConfig) -> bool:
    """Whether what is measured is no export: onnxruntime runs those."""
    folder = config.evaluate.checkpoint
    return folder is None or not is_export(folder)


def check_export(config: ExportConfig) -> None:
    """Raises CheckpointError where there is no checkpoint to export, DataError where the data set named is none."""
    find_checkpoint(config.export.checkpoint)
    if config.export.data_dir is not None:
        require_data_set(config.export.data_dir)
