"""What a worker runs: one side of one row, with the facts that must be the same on all its sides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .world import World

LEARNING_RATE = 1e-5
WEIGHT_DECAY = 0.01
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Task:
    """What a side is told. `options` are its own, from the row."""

    world: World
    batch_size: int
    precision: str  # "bf16" or "fp32"
    threads: int
    options: Mapping[str, Any]
    device: str = "cpu"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Task:
        """What `to_json` gave."""
        world = World(Path(content["root"]), content["model"])
        return cls(world, content["batch_size"], content["precision"], content["threads"], content["options"])

    def to_json(self) -> dict[str, Any]:
        """For the worker's command line."""
        return {
            "root": str(self.world.root),
            "model": self.world.model,
            "batch_size": self.batch_size,
            "precision": self.precision,
            "threads": self.threads,
            "options": dict(self.options),
        }


@dataclass
class Work:
    """`run` does one round, and may say itself how many seconds it took.

    `facts` are compared before anything is timed; `notes` are only written down.
    `units` is how many images, steps or operations one round has.
    """

    run: Callable[[], float | None]
    facts: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    units: float = 1.0


def digest_of_pixels(pixels: Any) -> str:
    """sha256 of a uint8 tensor's bytes."""
    return hashlib.sha256(pixels.cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
