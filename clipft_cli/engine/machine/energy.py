"""Energy of a run, from the counters a machine keeps of itself; where there is none, nothing is reported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..events import Event, OnEvent

RAPL = Path("/sys/class/powercap")


@dataclass
class Counter:
    """Joules since an arbitrary point in time, from 0 again after `wraps_at`; `joules` is what was seen go by."""

    read: Callable[[], float]
    wraps_at: float
    last: float
    joules: float | None = 0.0

    def update(self) -> None:
        """Add what went by since the last time. A counter that can no longer be read is never trusted again."""
        if self.joules is None:
            return
        try:
            now = self.read()
        except Exception:  # whatever a driver raises
            self.joules = None
            return
        self.joules += now - self.last if now >= self.last else now - self.last + self.wraps_at
        self.last = now


class EnergyMeter:
    """What the GPU (NVML) and the CPU packages (RAPL, Linux) drew since this was made, others' work included.

    A counter wraps after half an hour or more of full load, so `update` is wanted with every event.
    Sources: NVML API reference, nvmlDeviceGetTotalEnergyConsumption (Volta and later); Linux kernel,
    Documentation/power/powercap/powercap.rst.
    """

    def __init__(self, device: torch.device, rapl: Path = RAPL) -> None:
        self._counters = {"gpu": _nvml_counters(device), "cpu": _rapl_counters(rapl)}

    def update(self) -> None:
        """Read every counter."""
        for counters in self._counters.values():
            for counter in counters:
                counter.update()

    def watching(self, on_event: OnEvent) -> OnEvent:
        """`on_event`, with the counters read at each event."""

        def tell(event: Event) -> None:
            self.update()
            on_event(event)

        return tell

    def joules(self) -> dict[str, float]:
        """Joules by part ("gpu", "cpu"); a part that reports none is left out."""
        self.update()
        sums: dict[str, float] = {}
        for part, counters in self._counters.items():
            values = [counter.joules for counter in counters]
            known = [value for value in values if value is not None]
            if known and len(known) == len(values):
                sums[part] = sum(known)
        return sums


def joules_of(meter: EnergyMeter | None) -> dict[str, float]:
    """What the meter saw; nothing where there is none."""
    return meter.joules() if meter is not None else {}


def _nvml_counters(device: torch.device) -> list[Counter]:
    """The counter of this CUDA device; none without the package nvidia-ml-py, or on a card that has no counter."""
    if device.type != "cuda":
        return []
    try:
        import pynvml
    except ImportError:
        return []
    with contextlib.suppress(Exception):  # whatever a driver raises
        pynvml.nvmlInit()
        handle = _nvml_handle(pynvml, device)

        def read() -> float:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3  # millijoules

        return [Counter(read, 2.0**64 / 1e3, read())]
    return []


def _nvml_handle(pynvml: Any, device: torch.device) -> Any:
    """By UUID: NVML numbers the cards of the machine, torch those it may see."""
    uuid = torch.cuda.get_device_properties(device).uuid
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")


def _rapl_counters(root: Path) -> list[Counter]:
    """One counter a CPU package; none where they cannot be read, which on most systems takes root."""
    counters = []
    try:
        packages = [path for path in sorted(root.glob("intel-rapl:*")) if _text(path / "name").startswith("package")]
        for path in packages:
            read = _micro_joules(path / "energy_uj")
            counters.append(Counter(read, float(_text(path / "max_energy_range_uj")) / 1e6, read()))
    except (OSError, ValueError):
        return []
    return counters


def _micro_joules(path: Path) -> Callable[[], float]:
    return lambda: float(_text(path)) / 1e6


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
