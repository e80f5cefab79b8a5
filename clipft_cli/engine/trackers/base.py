"""What a tracker is: a client of its own, told of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

PROJECT = "clipft"


@dataclass(frozen=True)
class Told:
    """What a tracker is told of a run first. `known` is the run's name with the tracker where it was told before."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    known: str | None

    @property
    def flat_config(self) -> dict[str, str]:
        """The settings as `section.key` -> words."""
        return dict(_flat(self.config))


class Tracker(ABC):
    """One run with one tracker. Made, used and closed in a process that does nothing else; any error may leave it."""

    name: ClassVar[str]
    package: ClassVar[str]

    @abstractmethod
    def __init__(self, told: Told) -> None:
        """Begin a run with the tracker, or go on with `told.known`."""

    @property
    @abstractmethod
    def run(self) -> str:
        """What the tracker calls this run: `Told.known` of the next process."""

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keep numbers at one step."""

    @abstractmethod
    def keep(self, file: Path) -> None:
        """Keep a file with the run."""

    @abstractmethod
    def close(self) -> None:
        """The run has ended, or is interrupted."""


def _flat(values: Mapping[str, Any], lead: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in values.items():
        flat += _flat(value, f"{lead}{key}.") if isinstance(value, Mapping) else [(f"{lead}{key}", str(value))]
    return flat
