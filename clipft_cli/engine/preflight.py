"""What is refused at once: a wrong path is found here, without torch, which takes seconds to import.

Each check is made again, with all others, by the command itself.
"""

from __future__ import annotations

from pathlib import Path

from ..config.commands import CompareConfig, EvaluateConfig, TrainConfig
from .checkpoint.subject import choose_subject, data_dir_of
from .manifest import require_data_set
from .run_dir import interrupted_run


def check_training(config: TrainConfig) -> None:
    """Raises DataError where there is no data set to train on."""
    require_data_set(config.data.dir)


def check_comparison(config: CompareConfig) -> None:
    """Raises DataError where the data set that was named is none."""
    if "dir" in config.data.model_fields_set:
        require_data_set(config.data.dir)


def check_resumption(path: Path | None) -> None:
    """Raises CheckpointError where there is no run to go on with (None: any)."""
    interrupted_run(path)


def check_evaluation(config: EvaluateConfig) -> None:
    """Raises CheckpointError where there is no checkpoint to measure, DataError where there is no data set."""
    require_data_set(data_dir_of(config, choose_subject(config)))
