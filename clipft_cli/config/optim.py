"""How fast what may change does change, for how long, and when to stop."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator, model_validator

from .base import Config, in_range
from .methods import ObjectiveName
from .metrics import SelectionMetric

ScheduleName = Literal["cosine", "linear", "constant"]
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
NonFiniteAction = Literal["stop", "rollback"]


class EarlyStoppingConfig(Config):
    """Stop when val has not improved for a while."""

    enabled: bool = Field(True, description="Stop a run that no longer improves on val.")
    patience: int = Field(3, ge=1, description="Epochs without improvement before it stops.")


class LayerwiseLRConfig(Config):
    """Smaller steps for deeper layers."""

    enabled: bool = Field(True, description="Scale the learning rate by layer.")
    decay_rate: float = Field(
        0.75, gt=0, le=1, description="Block i of L learns at decay_rate ** (L - 1 - i) of the peak."
    )


class UnfreezeStep(Config):
    """From this epoch on, these layers train too."""

    epoch: int = Field(ge=0, description="First epoch, counted from 0.")
    layers: tuple[str, ...] = Field(
        min_length=1,
        description="classifier, stem, top, block numbers as vision_model.encoder.layers.N or"
        " visual.transformer.resblocks.N, globs, all.",
    )


class ProgressiveUnfreezingConfig(Config):
    """Train the head first, then ever deeper layers."""

    enabled: bool = Field(False, description="Unfreeze layers as the run goes on.")
    unfreeze_schedule: tuple[UnfreezeStep, ...] | None = Field(
        None,
        description="Which layers join at which epoch; none: head, last block, all, in proportion 0 : 2 : 6 of 20.",
    )

    @model_validator(mode="after")
    def _something_trains_from_the_start(self) -> ProgressiveUnfreezingConfig:
        schedule = self.unfreeze_schedule
        if schedule is not None and (not schedule or min(step.epoch for step in schedule) != 0):
            raise ValueError("unfreeze_schedule must name at least one layer at epoch 0")
        return self


class EMAConfig(Config):
    """An exponential moving average of the weights, which is what gets evaluated and saved."""

    enabled: bool = Field(True, description="Average the weights over the last part of the run.")
    horizon_ratio: float = Field(0.1, gt=0, le=1, description="Averaging window as a share of all steps.")


class WiseFTConfig(Config):
    """Interpolation between the starting and the fine-tuned weights (Wortsman et al. 2022)."""

    enabled: bool = Field(True, description="After training, choose the mix that is best on val.")
    alphas: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0), min_length=1, description="Mixes tried; 0: the start, 1: fine-tuned."
    )

    @field_validator("alphas")
    @classmethod
    def _between_zero_and_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= alpha <= 1 for alpha in value):
            raise ValueError("every alpha must lie between 0 and 1")
        return tuple(sorted(set(value)))


class SoupConfig(Config):
    """An average of the best epochs' weights (Wortsman et al. 2022, Model soups)."""

    enabled: bool = Field(
        False,
        description="After training, average the best epochs kept (checkpoint.keep_best), each added where val agrees.",
    )


class TrainingConfig(Config):
    """The loop: epochs, learning rate, regularisation, what is kept."""

    ALIASES: ClassVar = {"base_learning_rate": "learning_rate", "epochs": "num_epochs"}

    objective: ObjectiveName = Field(
        "cross_entropy",
        description="cross_entropy: of the head's logits; contrastive: images against the prompts of their classes,"
        " both towers train and the head is what the text tower makes of the prompts (FLYP, Goyal et al. 2023).",
    )
    num_epochs: int | Literal["auto"] = Field(
        "auto", description="Passes over the training images; auto: by their number, 5 to 30."
    )
    learning_rate: float | Literal["auto"] = Field(
        "auto",
        description="Peak learning rate of the top layer (also: base_learning_rate); auto: by the tower's size.",
    )
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="Micro-batches in one update; the effective batch is batch_size times this."
    )
    schedule: ScheduleName = Field("cosine", description="Course of the learning rate after the warm-up.")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="Share of all steps spent warming up.")
    weight_decay: float = Field(0.05, ge=0, le=10, description="AdamW decay; never on 1-D or embedding weights.")
    max_grad_norm: float | None = Field(1.0, gt=0, description="Gradient norm above which it is clipped; none: never.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Probability spread over all classes.")
    select_by: SelectionMetric = Field(
        "top1",
        description="Val metric that chooses start, epochs and mix: no run ends below its start in it;"
        " between epochs that are equal, the lower loss. With data.class_balance it is balanced_accuracy unless given.",
    )
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    layerwise_lr: LayerwiseLRConfig = LayerwiseLRConfig()
    progressive_unfreezing: ProgressiveUnfreezingConfig = ProgressiveUnfreezingConfig()
    ema: EMAConfig = EMAConfig()
    wise_ft: WiseFTConfig = WiseFTConfig()
    soup: SoupConfig = SoupConfig()
    non_finite: NonFiniteAction = Field(
        "stop",
        description="After several non-finite updates in a row: stop, or roll back to the last"
        " checkpoint with half the learning rate.",
    )
    non_finite_limit: int = Field(3, ge=1, description="Non-finite updates in a row that make a run stop or roll back.")

    report_to: tuple[TrackerName, ...] = Field(
        ("tensorboard",),
        description="Where config and curves go: tensorboard, wandb, mlflow, trackio, any of them or none ([]);"
        " on this machine, and a run never waits for one.",
    )

    @field_validator("report_to", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_tracker_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("num_epochs", mode="wrap")
    @classmethod
    def _epochs_in_range(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> int | str:
        return in_range(parse, value, "a whole number between 1 and 100000, or auto", 1, 100_000)

    @field_validator("learning_rate", mode="wrap")
    @classmethod
    def _rate_in_range(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> float | str:
        return in_range(parse, value, "a number above 0 and at most 10, or auto", 1e-12, 10)

    @model_validator(mode="after")
    def _stages_lie_within_the_run(self) -> TrainingConfig:
        plan = self.progressive_unfreezing
        last = max((step.epoch for step in plan.unfreeze_schedule or ()), default=0)
        if plan.enabled and isinstance(self.num_epochs, int) and last >= self.num_epochs:
            raise ValueError(
                f"unfreeze_schedule has a stage at epoch {last}, behind the last epoch {self.num_epochs - 1}"
                " (epochs count from 0); set unfreeze_schedule to null to have it scaled to the run"
            )
        return self

    @property
    def epochs(self) -> int:
        """`num_epochs` once the rules have settled it."""
        assert isinstance(self.num_epochs, int)
        return self.num_epochs

    @property
    def peak_lr(self) -> float:
        """`learning_rate` once the rules have settled it."""
        assert isinstance(self.learning_rate, float)
        return self.learning_rate

    @field_validator("max_grad_norm", mode="before")
    @classmethod
    def _zero_is_never(cls, value: Any) -> Any:
        return None if value in (0, 0.0, "0", False) else value


_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|m|h)?$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, None: 1}


def seconds_of(value: Any) -> Any:
    """A duration such as 90s, 10m or 1h in seconds; anything but text as it is."""
    if isinstance(value, str):
        found = _DURATION.match(value.strip().lower())
        if not found:
            raise ValueError("must be a duration such as 90s, 10m or 1h")
        return float(found[1]) * _SECONDS[found[2]]
    return value


class CheckpointConfig(Config):
    """When the state of a run is saved, and how much of it is kept."""

    every: float | None = Field(600.0, gt=0, description="Seconds between saves within an epoch (10m, 1h, 90s).")
    every_steps: int | None = Field(None, ge=1, description="Updates between saves within an epoch.")
    keep_last: int = Field(1, ge=1, description="Newest epoch checkpoints kept.")
    keep_best: int = Field(1, ge=1, description="Best epoch checkpoints on val kept.")

    _every = field_validator("every", mode="before", json_schema_input_type=float | str | None)(seconds_of)
