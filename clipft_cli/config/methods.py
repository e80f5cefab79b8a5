"""What may change in the model: the ways of fine-tuning and their settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from .base import Config

MethodName = Literal["zero_shot", "linear_probe", "full", "lora"]
ObjectiveName = Literal["cross_entropy"]
ScalingName = Literal["standard", "rslora"]


class LoraConfig(Config):
    """Low-rank deltas beside frozen weights (Hu et al. 2021)."""

    ALIASES: ClassVar = {"alpha": "lora_alpha", "dropout": "lora_dropout", "rank": "r"}

    r: int = Field(8, ge=1, le=4096, description="Rank of each delta.")
    lora_alpha: float = Field(16.0, gt=0, allow_inf_nan=False, description="Numerator of the scale put on each delta.")
    target_modules: tuple[str, ...] = Field(
        ("attention", "mlp"),
        min_length=1,
        description="Projections that get a delta: q, k, v, out, fc1, fc2; attention, mlp, all;"
        " the names of Hugging Face (q_proj ...) are understood.",
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of each delta.")
    scaling: ScalingName = Field(
        "standard", description="standard: alpha / r; rslora: alpha / sqrt(r) (Kalajdzievski 2023)."
    )

    use_dora: bool = Field(
        False, description="Train the length of each weight row too (DoRA, Liu et al. 2024); slower."
    )

    @field_validator("target_modules", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class LinearProbeConfig(Config):
    """Logistic regression on frozen features."""

    c_values: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        min_length=1,
        description="Inverse regularisation strengths tried; the best on val is kept.",
    )
    max_iter: int = Field(1000, ge=1, description="Most L-BFGS iterations for each strength.")

    @field_validator("c_values")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(c <= 0 for c in value):
            raise ValueError("every strength must be greater than 0")
        return value
