"""The device tier: what is asked of a machine with a GPU, in order, each answer written down as it comes."""

from __future__ import annotations

import json
import os
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from clipft_cli.engine.files.write import write_text

Part = Literal["correctness", "speed", "choices"]
PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "peft",
    "timm",
    "bitsandbytes",
    "numpy",
    "pillow",
)


@dataclass(frozen=True)
class Machine:
    """Where the tier runs. With `is_small` every shape is tiny: a proof of the script, on a CPU in seconds."""

    device: torch.device
    root: Path
    is_small: bool

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Until the device has done what it was told: device work is asynchronous."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def release(self) -> None:
        """Give back what earlier steps left in the allocator's hands."""
        if self.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


class Skipped(Exception):
    """A step that this machine cannot take, and why."""


@dataclass(frozen=True)
class Step:
    """`run` returns what was seen, as plain values, and raises AssertionError where that is not as promised."""

    name: str
    part: Part
    title: str
    run: Callable[[Machine], dict[str, Any]]
    needs_cuda: bool = False


def chosen_machine(root: Path) -> Machine:
    """CUDA, or what CLIPFT_GPU_TIER_DEVICE says; shapes are tiny on a CPU."""
    name = os.environ.get("CLIPFT_GPU_TIER_DEVICE", "cuda")
    return Machine(torch.device(name), root, is_small=name == "cpu")


def take(steps: tuple[Step, ...], machine: Machine, file: Path, seconds: float) -> list[dict[str, Any]]:
    """Take `steps` in order until `seconds` are over; `file` holds all that is known after each."""
    began = time.monotonic()
    records: list[dict[str, Any]] = []
    for step in steps:
        at = time.monotonic() - began
        if at > seconds:
            record = _record(step, "not reached", {}, f"after {seconds:.0f} s", 0.0)
        else:
            record = taken(step, machine)
        records.append(record)
        print(f"{at:6.1f} s  {step.part:11} {step.name:22} {record['state']:11} {_line(record)}", flush=True)
        write_text(file, json.dumps({"machine": facts_of(machine), "steps": records}, indent=1) + "\n")
    return records


def taken(step: Step, machine: Machine) -> dict[str, Any]:
    """The record of one step: whatever it raises is part of the answer, and the next one is taken all the same."""
    began = time.monotonic()
    if step.needs_cuda and not machine.is_cuda:
        return _record(step, "skipped", {}, "needs a CUDA device", 0.0)
    machine.release()
    seen: dict[str, Any] = {}
    try:
        seen = step.run(machine)
        state, why = "ok", ""
    except Skipped as reason:
        state, why = "skipped", str(reason)
    except AssertionError as error:
        state, why = "FAILED", str(error)
    except Exception as error:
        state, why = "BROKE", f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}"
    return _record(step, state, seen, why, time.monotonic() - began)


def _record(step: Step, state: str, seen: dict[str, Any], why: str, seconds: float) -> dict[str, Any]:
    return {
        "name": step.name,
        "part": step.part,
        "title": step.title,
        "state": state,
        "why": why,
        "seconds": round(seconds, 1),
        "seen": seen,
    }


def _line(record: dict[str, Any]) -> str:
    text = record["why"] or json.dumps(record["seen"])
    return text if len(text) < 1200 else text[:600] + " ... " + text[-500:]


def facts_of(machine: Machine) -> dict[str, Any]:
    """The machine and the versions, as the page names them."""
    facts: dict[str, Any] = {
        "device": machine.device.type,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }
    if machine.is_cuda:
        properties = torch.cuda.get_device_properties(machine.device)
        facts["device"] = properties.name
        facts["device_memory_gib"] = round(properties.total_memory / 2**30, 1)
        facts["capability"] = f"{properties.major}.{properties.minor}"
        facts["cuda"] = torch.version.cuda
    return facts


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
