"""What pays on CUDA alone: a compiled tower in a long run, channels last for convolutions."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import nn

from ...config.model import HardwareConfig

COMPILED_UPDATES = 2_000
"""Updates from which on compiling is taken to pay for itself: a minute or two of it, against a tenth of a step of 0.3 s
(an estimate: measure with `hardware.compile` true and false, and set it)."""


def wants_compile(hardware: HardwareConfig, device: torch.device, n_updates: int) -> bool:
    """Whether the tower is compiled: as `hardware.compile` says, or by rule where it is `auto`.

    A function of config, data and device, so that a resumed run does the same.
    """
    if hardware.compile != "auto":
        return hardware.compile
    if device.type != "cuda" or hardware.gradient_checkpointing or hardware.deterministic:
        return False
    return n_updates >= COMPILED_UPDATES and importlib.util.find_spec("triton") is not None


def wants_channels_last(hardware: HardwareConfig, device: torch.device, visual: nn.Module) -> bool:
    """Whether a tower's weights lie channels last: as `hardware.channels_last` says, or, where it is `auto`, on CUDA
    for towers of convolutions."""
    if hardware.channels_last != "auto":
        return hardware.channels_last
    return device.type == "cuda" and is_convolutional(visual)


def is_convolutional(tower: Any) -> bool:
    """Whether the tower has more than the one convolution that cuts an image into patches."""
    return sum(isinstance(module, nn.Conv2d) for module in tower.modules()) > 1
