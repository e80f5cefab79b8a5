"""Which CLIP is the start, and on what it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import Config

PrecisionName = Literal["auto", "bf16", "fp16", "no"]
TrainedIn = Literal["bf16", "fp16", "fp32"]
PrecisionWord = Literal["true", "yes", "false", "none", "fp32", "off"]
HeadName = Literal["cosine", "linear"]
HeadStart = Literal["auto", "text", "probe"]
_DEVICE = re.compile(r"auto|cpu(:0)?|mps(:0)?|cuda(:\d{1,3})?")
DEVICES = "auto, cpu, mps, cuda or, where there are several, cuda:1"


def _device(value: Any) -> Any:
    """As torch writes it, whatever the case; of cpu and mps there is one."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"should be {DEVICES}; for the GPU with this number: cuda:{value}")
    if not isinstance(value, str):
        return value
    name = value.strip().lower()
    if not _DEVICE.fullmatch(name):
        guess = f"; for the GPU with this number: cuda:{int(name)}" if name.isdecimal() else ""
        raise ValueError(f"should be {DEVICES}{guess}")
    return name if name.startswith("cuda") else name.removesuffix(":0")


DeviceName = Annotated[str, BeforeValidator(_device)]
"""`auto`, or a device as torch names it."""


class ModelConfig(Config):
    """The pretrained model and the head put on it."""

    name: str = Field(
        "ViT-B-32",
        min_length=1,
        description="open_clip architecture, `clipft-tiny`, a Hugging Face name such as"
        " openai/clip-vit-base-patch32, a model config .json, or a checkpoint folder.",
    )
    pretrained: str | None = Field(
        None, description="open_clip tag or a local weights file; none: the usual tag of this architecture."
    )
    cache_dir: Path | None = Field(None, description="Where open_clip keeps downloaded weights.")
    head: HeadName | Literal["auto"] = Field(
        "auto",
        description="cosine: unit class vectors, from the prompts; linear: free weights and a bias;"
        " auto: cosine, or linear where the start is a probe.",
    )
    head_start: HeadStart = Field(
        "auto",
        description="text: class prompts; probe: a linear probe's weights, unless zero-shot is better on val;"
        " auto: whichever is better on val.",
    )

    @model_validator(mode="after")
    def _a_probe_is_linear(self) -> ModelConfig:
        if self.head == "cosine" and self.head_start == "probe":
            raise ValueError("head_start: probe needs head: linear or auto (a probe has free weights and a bias)")
        return self


class HardwareConfig(Config):
    """The device and how numbers are kept on it."""

    device: DeviceName = Field("auto", description="auto: cuda, else mps, else cpu; cuda:1: the second GPU.")
    mixed_precision: PrecisionName = Field(
        "auto",
        description="auto or true: bf16 where the device has it, fp16 on older CUDA; no: float32. A finished run is"
        " measured and used as it was trained, unless this says otherwise.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute blocks in the backward pass: less memory, about a third more time."
    )
    channels_last: bool | Literal["auto"] = Field(
        "auto", description="NHWC layout of the image tower; auto: for convolutional towers on CUDA."
    )
    compile: bool | Literal["auto"] = Field(
        "auto", description="torch.compile of the image tower; auto: on CUDA, in runs of 2,000 updates and more."
    )
    deterministic: bool = Field(False, description="Deterministic CUDA kernels: exact resume, slower.")
    num_threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads; none: one a processor that affinity and the container's quota allow. A run keeps its"
        " number when it is resumed.",
    )

    @field_validator("mixed_precision", mode="before", json_schema_input_type=PrecisionName | PrecisionWord | bool)
    @classmethod
    def _words_for_precision(cls, value: Any) -> Any:
        # YAML 1.1 reads a bare `no` as False and `yes` as True
        words = {"true": "auto", "yes": "auto", "false": "no", "none": "no", "fp32": "no", "off": "no"}
        return words.get(str(value).lower(), value)
