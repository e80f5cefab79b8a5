"""The device, the number format on it, and what follows from the two."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from ...config.model import DeviceName, HardwareConfig, PrecisionName, TrainedIn
from ...errors import ResourceError
from ..machine.processors import usable_processors
from ..machine.thread_waits import WAITS


@dataclass(frozen=True)
class Precision:
    """`dtype` is that of matrix products under autocast; None means float32 throughout."""

    device: torch.device
    dtype: torch.dtype | None

    @property
    def name(self) -> TrainedIn:
        """`bf16`, `fp16` or `fp32`."""
        names: dict[torch.dtype | None, TrainedIn] = {torch.bfloat16: "bf16", torch.float16: "fp16", None: "fp32"}
        return names[self.dtype]

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Matrix products in `dtype`, everything delicate in float32."""
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """A loss scaler; disabled (plain calls) but for fp16, so that the step is one path."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)


def choose_device(name: DeviceName) -> torch.device:
    """The device asked for. Raises ResourceError where this machine does not have it."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = torch.device(name)
    if not available[device.type]:
        raise ResourceError(
            f"hardware.device: '{name}' is not available here",
            hint="use `--set hardware.device=auto`, or install a torch build for this device",
        )
    n_cards = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.index is not None and device.index >= n_cards:
        raise ResourceError(
            f"hardware.device: '{name}' is not here: there {_cards(n_cards)}",
            hint="`--device cuda` takes the first; CUDA_VISIBLE_DEVICES, where it is set, hides others",
        )
    return device


def _cards(n: int) -> str:
    return "is one GPU, cuda:0" if n == 1 else f"are {n} GPUs, cuda:0 to cuda:{n - 1}"


def choose_precision(name: PrecisionName, device: torch.device) -> Precision:
    """bf16 where the device computes in it, fp16 on older CUDA, float32 else; a wrong wish is an error."""
    if name == "no":
        return Precision(device, None)
    if name == "auto":
        if _has_bf16(device):
            return Precision(device, torch.bfloat16)
        return Precision(device, torch.float16 if device.type in ("cuda", "mps") else None)
    if name == "fp16" and device.type == "cpu":
        raise ResourceError("hardware.mixed_precision: fp16 training needs a GPU", hint="use bf16 or no on the CPU")
    return Precision(device, torch.bfloat16 if name == "bf16" else torch.float16)


def precision_of(wish: PrecisionName, trained_in: TrainedIn | None, device: torch.device) -> Precision:
    """For a classifier that was trained in `trained_in`: in the same where nothing else is wished for and the device
    has it, so that its answers are those it was chosen by.
    """
    if wish != "auto" or trained_in is None:
        return choose_precision(wish, device)
    if trained_in == "fp32":
        return Precision(device, None)
    has_it = _has_bf16(device) if trained_in == "bf16" else device.type in ("cuda", "mps")
    return choose_precision(trained_in if has_it else "auto", device)


def set_up(hardware: HardwareConfig, trained_in: TrainedIn | None = None) -> Precision:
    """Device and precision of `hardware`, with threads, TF32 and determinism set once for the process.

    `trained_in` is that of the classifier to be measured or used.
    """
    device = choose_device(hardware.device)
    n_threads = hardware.num_threads or _usual_threads()
    torch.set_num_threads(n_threads)  # told its own number too: from then on MKL never takes fewer, as after a resume
    WAITS.watch(n_threads)
    if device.type == "cuda":
        if device.index is not None:  # plain "cuda" is the current one
            torch.cuda.set_device(device)  # what a library makes on "the" GPU is made there
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if hardware.deterministic:
        # read when cuBLAS makes its first handle; without it sums are in no fixed order (cuBLAS manual, section 2.1.4)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return precision_of(hardware.mixed_precision, trained_in, device)


def _usual_threads() -> int:
    """torch's choice, by affinity; within the quota of a container, which torch does not know of."""
    n = torch.get_num_threads()
    return n if "OMP_NUM_THREADS" in os.environ else min(n, usable_processors())


def device_label(device: torch.device) -> str:
    """The device in words a person knows."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        n = torch.get_num_threads()
        return f"cpu ({n} thread{'' if n == 1 else 's'})"
    return device.type


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        # compute capability 8.0 on: older cards only emulate it
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if any(getattr(torch.cpu, probe, bool)() for probe in probes):
        return True
    return platform.machine() == "aarch64" and "bf16" in _cpu_flags()


def _cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
