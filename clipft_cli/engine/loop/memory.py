"""Running out of memory: recognised by its many names, measured, and explained."""

from __future__ import annotations

import resource
import sys

import torch

from ...errors import ResourceError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that an allocation failed, on any device."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in text for words in ("not enough memory", "out of memory", "can't allocate memory")
    )


def out_of_memory_error(what: str = "not even one image at a time fits") -> ResourceError:
    """For the case in which no smaller micro-batch helps."""
    return ResourceError(
        f"out of memory: {what}",
        hint="try `--set hardware.gradient_checkpointing=true`, `--method lora`, or a smaller model.name",
    )


def peak_memory_gib(device: torch.device) -> float:
    """Most memory held so far: the device's on CUDA, the process's else; in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20  # bytes there, KiB elsewhere
