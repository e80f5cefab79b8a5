"""Floating point operations of a ViT, from its shapes: what a step costs where nothing but products costs time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .work import Task
from .world import model_config

FORMULA = (
    "forward: 2 P 3 p^2 W (patches) + L (24 N W^2 + 4 N^2 W) (blocks) + 2 W D (projection), with P patches of p x p"
    " pixels, N = P + 1 tokens, width W, L blocks, D features; training: three times that, less the gradient with"
    " respect to the pixels, which nobody needs. A trick that leaves products out (one query in the last block)"
    " counts in its favour."
)


def flops_of_step(task: Task) -> float:
    """Of one update of everything, on the task's batch."""
    config = model_config(task.world)
    return task.batch_size * training_flops(config["vision_cfg"], config["embed_dim"])


def forward_flops(vision: Mapping[str, Any], embed_dim: int) -> float:
    """Of one image."""
    patch, width, layers = vision["patch_size"], vision["width"], vision["layers"]
    tokens = (vision["image_size"] // patch) ** 2 + 1
    blocks = layers * (24 * tokens * width**2 + 4 * tokens**2 * width)
    return float(_patch_flops(vision) + blocks + 2 * width * embed_dim)


def training_flops(vision: Mapping[str, Any], embed_dim: int) -> float:
    """Of one image, forward and backward, everything training."""
    return 3 * forward_flops(vision, embed_dim) - _patch_flops(vision)


def _patch_flops(vision: Mapping[str, Any]) -> float:
    patch = vision["patch_size"]
    return float(2 * (vision["image_size"] // patch) ** 2 * 3 * patch**2 * vision["width"])
