"""What `clipft evaluate` takes: what is measured, and on which images."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from .base import Config
from .data import DataConfig, SplitName
from .export import Graph
from .model import HardwareConfig, ModelConfig
from .reading import ReadOptions


class EvaluateOptions(Config):
    """What is measured, and on which images."""

    checkpoint: Path | None = Field(None, description="Run, checkpoint or pointer; none: newest finished run's best.")
    base: Path | None = Field(
        None,
        description="File of the base model's weights, for a checkpoint without its tower; none: it is looked for.",
    )
    graph: Graph = None
    split: SplitName = Field("test", description="Images to measure on.")
    data_dir: Path | None = Field(
        None,
        description="Data set, or labelled images that were never prepared (a folder a class, a table, an archive);"
        " none: the data set that the run was trained on.",
    )
    read: ReadOptions = ReadOptions()
    output_dir: Path | None = Field(None, description="Where reports go; none: inside the run.")
    zero_shot: bool = Field(False, description="Measure the pretrained model as it is.")
    batch_size: int | None = Field(None, ge=1, description="Images in one batch; none: 64 on a CPU, 256 elsewhere.")


class EvaluateConfig(Config):
    """The slice of the file that `clipft evaluate` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    evaluate: EvaluateOptions = EvaluateOptions()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    hardware: HardwareConfig = HardwareConfig()
