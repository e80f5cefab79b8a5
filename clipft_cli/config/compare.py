"""What `clipft compare` takes: what is compared, and what may be trained for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from .base import Config
from .data import DataConfig, SplitName
from .model import HardwareConfig, ModelConfig
from .optim import seconds_of

CorrectionName = Literal["holm", "none"]


class CompareOptions(Config):
    """What is compared, and what may be trained for it."""

    names: tuple[str, ...] = Field((), description="Methods and run directories; zero_shot and linear_probe are added.")
    seeds: int = Field(1, ge=1, le=100, description="Number of seeds each method is trained with.")
    budget: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Time limit for everything that is trained (30m, 2h, 90s); none: no limit.",
    )
    split: SplitName = Field(
        "test", description="Images to compare on; val has chosen every run's epoch and is refused."
    )
    no_train: bool = Field(False, description="Train nothing: refuse where a finished run is missing.")
    output_dir: Path | None = Field(
        None, description="Where the comparison goes: an empty or new folder; none: outputs/compare."
    )
    retention: Path | None = Field(
        None, description="Second prepared data set: how much of the zero-shot skill on it is left after training."
    )
    correction: CorrectionName = Field(
        "holm", description="holm: p-values adjusted for all pairs looked at (Holm 1979); none: as they are."
    )
    batch_size: int | None = Field(None, ge=1, description="Images in one batch; none: 64 on a CPU, 256 elsewhere.")

    _budget = field_validator("budget", mode="before", json_schema_input_type=float | str | None)(seconds_of)

    @field_validator("names", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("split")
    @classmethod
    def _images_that_chose_nothing(cls, value: SplitName) -> SplitName:
        if value == "train":
            raise ValueError("these images were trained on, which compares nothing; use test")
        if value == "val":
            raise ValueError("val has chosen epoch, mix and temperature of every run, it is no judge of them; use test")
        return value


class CompareConfig(Config):
    """The slice of the file that `clipft compare` takes; each method's TrainConfig is built from the same file."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    compare: CompareOptions = CompareOptions()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    hardware: HardwareConfig = HardwareConfig()
