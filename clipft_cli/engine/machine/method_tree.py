"""The decision tree: which method, by number of images and memory of the GPU. Advice, not a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from ...config.methods import MethodName

TITLES = {"full": "full", "lora": "LoRA", "qlora": "QLoRA"}


@dataclass(frozen=True)
class MethodPick:
    """What the decision tree says, the method that is used, and why, as a sentence."""

    tree: str
    method: MethodName
    why: str


def pick_method(n_images: int, gpu_gb: float | None) -> MethodPick:
    """The method by number of images and GPU memory in GiB (None: no GPU).

    The tree: under 1k images LoRA or QLoRA, 1k to 10k LoRA or full, over 10k full; on a GPU under 16 GB
    QLoRA, of 16 to 24 GB LoRA, over 24 GB full. Memory goes first, and without a GPU it does not decide.
    """
    by_data = ["lora", "qlora"] if n_images < 1_000 else ["lora", "full"] if n_images <= 10_000 else ["full"]
    size = f"{n_images:,} images"
    if gpu_gb is None:
        tree = " or ".join(TITLES[name] for name in by_data)
        method: MethodName = "full" if "full" in by_data else "lora"
        return MethodPick(tree, method, f"{size}; without a GPU its memory does not decide")
    memory = round(gpu_gb)  # a card of 16 GB reports 15.99
    by_memory = "qlora" if memory < 16 else "lora" if memory <= 24 else "full"
    pick = by_memory if by_memory in by_data or by_memory == "qlora" else "lora"
    why = f"{size}, {memory} GB of GPU memory"
    if pick == "qlora" and find_spec("bitsandbytes") is None:
        return MethodPick(
            TITLES[pick], "lora", f"{why}; QLoRA needs `pip install 'clipft-cli[qlora]'`, LoRA is its neighbour"
        )
    return MethodPick(TITLES[pick], pick, why)  # type: ignore[arg-type]
