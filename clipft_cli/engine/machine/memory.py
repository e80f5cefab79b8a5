"""Memory: the most that was held, and what is said where it runs out."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from ...errors import ResourceError, is_out_of_memory

T = TypeVar("T")


def halved_until_it_fits(work: Callable[[int], T], size: int) -> tuple[T, int]:
    """`work(size)`, with half of it as often as the memory runs out, and the size that it was done with.

    Raises ResourceError where not even a size of 1 fits.
    """
    while True:
        try:
            return work(size), size
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise out_of_memory_error() from error
        size //= 2  # here, where the error and all tensors that its frames held are gone


def out_of_memory_error(what: str = "not even one image at a time fits") -> ResourceError:
    """For the case in which no smaller micro-batch helps."""
    return ResourceError(
        f"out of memory: {what}",
        hint="try `--set hardware.gradient_checkpointing=true`, `--method lora`, or a smaller model.name",
    )


def peak_memory_gib(device: torch.device) -> float:
    """Most memory held so far: the device's on CUDA, the process's else; in GiB."""
    on_device = peak_device_memory_gib(device)
    return peak_host_memory_gib() if on_device is None else on_device


def peak_device_memory_gib(device: torch.device) -> float | None:
    """Most memory of a CUDA device held so far, in GiB; None on other devices."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None


def peak_host_memory_gib() -> float:
    """Most memory the process held so far, in GiB."""
    try:
        import resource
    except ImportError:  # Windows, whose peak psutil knows; of other systems it knows none
        return float(psutil.Process().memory_info().peak_wset) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20  # bytes there, KiB elsewhere


def reset_peak_memory() -> bool:
    """Let the peaks start anew, for one of several runs in a process; whether the host's could be (Linux)."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the high-water mark
    except (OSError, AttributeError):
        return False
    return True
