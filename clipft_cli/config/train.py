"""What `clipft train` takes: the method, the data, the model, and how it is trained."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from .base import Config
from .cache import CacheConfig
from .data import DataConfig
from .methods import CONTRASTIVE_METHODS, METHOD_FACTS, METHOD_NAMES, LinearProbeConfig, LoraConfig, MethodName
from .model import HardwareConfig, ModelConfig
from .optim import CheckpointConfig, TrainingConfig


class TrainConfig(Config):
    """The slice of the file that `clipft train` takes."""

    preset: str | None = Field(None, description="Named set of starting values; none: the method's own.")
    method: MethodName = Field(
        "full", description=f"How to fine-tune: {', '.join(METHOD_NAMES[:-1])} or {METHOD_NAMES[-1]}."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    output_dir: Path | None = Field(None, description="Run directory, empty or new; none: outputs/METHOD, numbered.")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    lora: LoraConfig = LoraConfig()
    linear_probe: LinearProbeConfig = LinearProbeConfig()
    hardware: HardwareConfig = HardwareConfig()
    cache: CacheConfig = CacheConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _objective_is_built(self) -> TrainConfig:
        if self.training.objective != "contrastive":
            return self
        if not METHOD_FACTS[self.method].may_be_contrastive:
            built = " and ".join(CONTRASTIVE_METHODS)
            raise ValueError(f"training.objective: contrastive is built for {built}, not for {self.method}")
        if self.model.head == "linear" or self.model.head_start == "probe":
            raise ValueError(
                "training.objective: contrastive has a cosine head made of the class prompts:"
                " model.head must be cosine or auto, model.head_start text or auto"
            )
        return self

    @model_validator(mode="after")
    def _balance_is_chosen_by(self) -> TrainConfig:
        """Who asks for balance gets it where val decides, too, unless `select_by` was given."""
        if self.data.class_balance != "none" and "select_by" not in self.training.model_fields_set:
            chosen = self.training.model_copy(update={"select_by": "balanced_accuracy"})
            object.__setattr__(self, "training", chosen)  # the config is frozen once it is made
        return self

    @property
    def trains_text(self) -> bool:
        """Whether the text tower trains too."""
        return self.training.objective == "contrastive"

    @property
    def must_probe(self) -> bool:
        """Whether a linear probe was asked for, as the start or as the result."""
        return METHOD_FACTS[self.method].start_from_probe == "must" or self.model.head_start == "probe"

    @property
    def wants_probe(self) -> bool:
        """Whether a linear probe is fitted."""
        if METHOD_FACTS[self.method].start_from_probe == "never" or self.trains_text:
            return False
        return self.must_probe or (self.model.head_start == "auto" and self.model.head != "cosine")
