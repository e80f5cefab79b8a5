"""The decision tree: which method, by number of images and memory of the GPU. Advice, not a measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec

from ...config.methods import METHOD_FACTS, MethodName


@dataclass(frozen=True)
class MethodPick:
    """What the decision tree says, the method that is used, and why, as a sentence."""

    tree: str
    method: MethodName
    why: str


BY_IMAGES: tuple[tuple[float, tuple[MethodName, ...], MethodName], ...] = (
    (1_000, ("lora", "qlora"), "lora"),
    (10_001, ("lora", "full"), "full"),
    (math.inf, ("full",), "full"),
)
"""(fewer images than, what suits them, which of these where there is no GPU)"""

BY_GPU_GB: tuple[tuple[float, MethodName], ...] = ((16, "qlora"), (25, "lora"), (math.inf, "full"))
"""(less memory than, what fits)"""

SMALLEST = BY_GPU_GB[0][1]
NEIGHBOUR: MethodName = "lora"
"""Where memory and images say different things, or a package is missing."""


def pick_method(n_images: int, gpu_gb: float | None) -> MethodPick:
    """The method by number of images and GPU memory in GiB (None: no GPU).

    The tree: under 1k images LoRA or QLoRA, 1k to 10k LoRA or full, over 10k full; on a GPU under 16 GB
    QLoRA, of 16 to 24 GB LoRA, over 24 GB full. Memory goes first, and without a GPU it does not decide.
    """
    suitable, without_gpu = next((names, name) for limit, names, name in BY_IMAGES if n_images < limit)
    size = f"{n_images:,} images"
    if gpu_gb is None:
        tree = " or ".join(METHOD_FACTS[name].title for name in suitable)
        return MethodPick(tree, without_gpu, f"{size}; without a GPU its memory does not decide")
    memory = round(gpu_gb)  # a card of 16 GB reports 15.99
    fitting = next(name for limit, name in BY_GPU_GB if memory < limit)
    pick = fitting if fitting in suitable or fitting == SMALLEST else NEIGHBOUR
    why = f"{size}, {memory} GB of GPU memory"
    facts = METHOD_FACTS[pick]
    if facts.module is not None and find_spec(facts.module) is None:
        missing = f"{facts.title} needs `pip install 'clipft-cli[{facts.extra}]'`"
        return MethodPick(facts.title, NEIGHBOUR, f"{why}; {missing}, {METHOD_FACTS[NEIGHBOUR].title} is its neighbour")
    return MethodPick(facts.title, pick, why)
