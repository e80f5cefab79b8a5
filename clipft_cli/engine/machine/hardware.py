"""What this machine has, found without importing torch: enough to choose a batch size and a precision."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .processors import usable_processors


@dataclass(frozen=True)
class Machine:
    """`gpu_gb` is None without a CUDA GPU; memory in GiB."""

    n_cores: int
    ram_gb: float
    gpu_name: str | None = None
    gpu_gb: float | None = None
    has_bf16: bool = False
    is_apple: bool = False

    def describe(self) -> str:
        """One clause for the screen."""
        if self.gpu_name:
            return f"{self.gpu_name}, {self.gpu_gb:.0f} GB"
        kind = "Apple GPU" if self.is_apple else "no GPU"
        return f"{kind}, {self.n_cores} CPU cores, {self.ram_gb:.0f} GB memory"


def find_machine() -> Machine:
    """This machine. The GPU is asked for through nvidia-smi; where that is missing there is none."""
    cores = usable_processors()
    import psutil  # a tenth of a second, which an answer does without

    ram_gb = psutil.virtual_memory().total / 2**30
    gpu = _nvidia_gpu()
    if gpu is not None:
        name, gpu_gb, capability = gpu
        return Machine(cores, ram_gb, name, gpu_gb, has_bf16=capability >= 8.0)
    is_apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return Machine(cores, ram_gb, has_bf16=_cpu_has_bf16(), is_apple=is_apple)


def worker_count(requested: int | str) -> int:
    """Decoding threads: as requested, or one a core and 16 at most."""
    return min(16, usable_processors()) if requested == "auto" else int(requested)


def _nvidia_gpu() -> tuple[str, float, float] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = "--query-gpu=name,memory.total,compute_cap"
    try:
        done = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        name, mebibytes, capability = done.stdout.strip().splitlines()[0].rsplit(",", 2)
        return name.strip(), float(mebibytes) / 1024, float(capability)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    if platform.machine() == "aarch64":
        return " bf16" in flags
    return "avx512_bf16" in flags or "amx_bf16" in flags
