"""The configuration of a run that goes on where a finished one ended."""

from __future__ import annotations

from pathlib import Path

from ...config.train import TrainConfig
from ...errors import ConfigError
from ..files.visible import quoted
from ..methods import METHODS
from ..run_dir import find_checkpoint
from ..runs.new_run import free_beside


def going_on(config: TrainConfig, run: Path, num_epochs: int) -> TrainConfig:
    """`config`, that of `run`, from the model that it kept, for `num_epochs` epochs; a numbered folder beside it.

    Layers that a schedule thaws after the last of them thaw in proportion. Raises CheckpointError, and ConfigError for
    a method that has no epochs.
    """
    if not METHODS[config.method].trains_by_epochs:
        raise ConfigError(
            f"--more-epochs: {config.method} has no epochs to add to",
            hint=f"train from its model by another method: `clipft train --method lora --set model.name={quoted(run)}`",
        )
    unfreezing = config.training.progressive_unfreezing
    last = max((step.epoch for step in unfreezing.unfreeze_schedule or ()), default=0)
    if last >= num_epochs:
        unfreezing = unfreezing.model_copy(update={"unfreeze_schedule": None})
    training = config.training.model_copy(update={"num_epochs": num_epochs, "progressive_unfreezing": unfreezing})
    checkpoint = str(find_checkpoint(run))
    model = config.model.model_copy(update={"name": checkpoint, "pretrained": None, "head_start": "auto"})
    hardware = config.hardware.model_copy(update={"num_threads": None})  # those of this machine, as for any new run
    changes = {"output_dir": free_beside(run), "model": model, "training": training, "hardware": hardware}
    return config.model_copy(update=changes)
