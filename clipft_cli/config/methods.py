"""What may change in the model: the ways of fine-tuning and their settings."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator

from .base import Config

MethodName = Literal["zero_shot", "linear_probe", "full", "lora", "qlora"]
METHOD_NAMES: tuple[str, ...] = get_args(MethodName)
ObjectiveName = Literal["cross_entropy", "contrastive"]
ScalingName = Literal["standard", "rslora"]

_ATTENTION, _MLP = ("q", "k", "v", "out"), ("fc1", "fc2")
LORA_TARGETS: dict[str, tuple[str, ...]] = {
    **{target: (target,) for target in (*_ATTENTION, *_MLP)},
    **{f"{part}_proj": (part,) for part in _ATTENTION},
    **dict.fromkeys(("qkv", "in_proj", "attn.in_proj"), ("q", "k", "v")),
    **dict.fromkeys(("attn.out_proj",), ("out",)),
    **dict.fromkeys(("c_fc", "mlp.c_fc", "mlp.fc1"), ("fc1",)),
    **dict.fromkeys(("c_proj", "mlp.c_proj", "mlp.fc2"), ("fc2",)),
    **dict.fromkeys(("attention", "attn"), _ATTENTION),
    "mlp": _MLP,
    "all": (*_ATTENTION, *_MLP),
}
"""Every name a projection is known under, ours, open_clip's or Hugging Face's -> the projections it means."""


class LoraConfig(Config):
    """Low-rank deltas beside frozen weights (Hu et al. 2021); on the text tower too where that trains."""

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

    @field_validator("target_modules")
    @classmethod
    def _known_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in LORA_TARGETS:
                near = difflib.get_close_matches(name, LORA_TARGETS, n=2, cutoff=0.5)
                meant = f", did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
                raise ValueError(f"unknown projection '{name}'{meant}; q, k, v, out, fc1, fc2, attention, mlp, all")
        return value


class LinearProbeConfig(Config):
    """Logistic regression on frozen features."""

    c_values: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        min_length=1,
        description="Inverse regularisation strengths tried; the best on val is kept, between equals the lower loss.",
    )
    max_iter: int = Field(1000, ge=1, description="L-BFGS iterations for each strength, at most.")

    @field_validator("c_values")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < c < math.inf for c in value):
            raise ValueError("every strength must be a number greater than 0")
        return value


@dataclass(frozen=True)
class MethodFacts:
    """What rules and words ask about a method before torch is imported; what the work asks is in `engine/methods`.

    `title` is its name for people, `does` says what trains, as the end of a sentence.
    `section` is the method's own part of the configuration, and `settings` its class; a checkpoint keeps it.
    `start_from_probe`: "may" where the head can start as a linear probe, "must" where that is the result, "never"
    where the head stays what the class prompts make it.
    `may_be_contrastive`: it can train both towers. `is_baseline`: every comparison has it, asked for or not.
    `extra` is the extra of this package that it needs, `module` what is imported from there.
    """

    title: str
    does: str
    section: str | None = None
    settings: type[Config] | None = None
    start_from_probe: Literal["may", "must", "never"] = "may"
    may_be_contrastive: bool = False
    is_baseline: bool = False
    extra: str | None = None
    module: str | None = None


METHOD_FACTS: dict[MethodName, MethodFacts] = {
    "zero_shot": MethodFacts("zero-shot", "nothing trains", start_from_probe="never", is_baseline=True),
    "linear_probe": MethodFacts(
        "linear probe",
        "the head trains on frozen features",
        "linear_probe",
        LinearProbeConfig,
        "must",
        is_baseline=True,
    ),
    "full": MethodFacts("full", "image tower and head train", may_be_contrastive=True),
    "lora": MethodFacts("LoRA", "small added weights and the head train", "lora", LoraConfig, may_be_contrastive=True),
    "qlora": MethodFacts(
        "QLoRA",
        "as lora, the frozen weights in 4 bits",
        "lora",
        LoraConfig,
        extra="qlora",
        module="bitsandbytes",
    ),
}

CONTRASTIVE_METHODS = tuple(name for name, facts in METHOD_FACTS.items() if facts.may_be_contrastive)
BASELINES = tuple(name for name, facts in METHOD_FACTS.items() if facts.is_baseline)
METHOD_SECTIONS = frozenset(facts.section for facts in METHOD_FACTS.values() if facts.section)
