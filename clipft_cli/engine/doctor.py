"""What a report of a fault needs to know of this machine and installation: one block, and no secrets in it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .files.amounts import size
from .files.cache_files import CACHES
from .machine.hardware import find_machine
from .machine.versions import MISSING, versions_of

PACKAGES = ("clipft-cli", "torch", "torchvision", "open_clip_torch", "timm", "safetensors", "numpy", "pillow")
EXTRAS = ("tensorboard", "pyarrow", "onnxruntime", "bitsandbytes", "wandb", "mlflow", "trackio")
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "XDG_CACHE_HOME",
)


@dataclass(frozen=True)
class Device:
    """What torch sees. `cuda` is the version it was built with, None for a build without; `name` is the device used."""

    name: str
    cuda: str | None
    gpus: tuple[str, ...]
    has_bf16: bool
    threads: int


@dataclass(frozen=True)
class Diagnosis:
    """Facts by name. `device` is None, with `trouble` in words, where torch cannot be imported."""

    packages: Mapping[str, str]
    python: str
    system: str
    machine: str
    device: Device | None
    trouble: str
    variables: Mapping[str, str]
    caches: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """(what, fact) in the order a person reads them."""
        missing = [name for name in EXTRAS if self.packages[name] == MISSING]
        found = [f"{name} {number}" for name, number in self.packages.items() if number != MISSING]
        return [
            ("packages", ", ".join(found)),
            ("extras not installed", ", ".join(missing) or "none"),
            ("Python", self.python),
            ("system", self.system),
            ("machine", self.machine),
            ("torch", self.trouble if self.device is None else _device_text(self.device)),
            ("environment", ", ".join(f"{name}={value}" for name, value in self.variables.items()) or "nothing set"),
            *((f"cache of {name}", text) for name, text in self.caches.items()),
        ]


def diagnose() -> Diagnosis:
    """The facts of this process. Nothing is written, and no error of torch's ends it."""
    device, trouble = _device()
    return Diagnosis(
        packages=versions_of(*PACKAGES, *EXTRAS),
        python=f"{platform.python_version()} ({platform.python_implementation()}), {_private(sys.executable)}",
        system=platform.platform(),
        machine=find_machine().describe(),
        device=device,
        trouble=trouble,
        variables={name: _private(os.environ[name]) for name in VARIABLES if name in os.environ},
        caches={
            name: f"{_private(str(files.folder))}, {size(sum(n for _, n in files.own()))}"
            for name, files in ((name, files_of()) for name, (_, files_of) in CACHES.items())
        },
    )


def _private(path: str) -> str:
    """A path without the name of the person whose home it is in."""
    home = str(Path.home())
    return "~" + path.removeprefix(home) if home != "/" and path.startswith(home + os.sep) else path


def _device() -> tuple[Device | None, str]:
    try:
        import torch
    except Exception as error:  # a library that is missing, or of another build: that is what is asked
        return None, f"cannot be imported: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    from ..config.model import HardwareConfig
    from .model.precision import set_up

    gpus = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    precision = set_up(HardwareConfig())
    return Device(
        str(precision.device), torch.version.cuda, gpus, precision.name == "bf16", torch.get_num_threads()
    ), ""


def _device_text(device: Device) -> str:
    gpus = f"GPUs {', '.join(device.gpus)}" if device.gpus else "no GPU seen"
    build = f"built for CUDA {device.cuda}" if device.cuda else "built without CUDA"
    bf16 = "bf16" if device.has_bf16 else "no bf16"
    return f"uses {device.name} ({bf16}, {device.threads} threads); {build}; {gpus}"
