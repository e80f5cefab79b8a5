"""What a method costs: parameters, time, memory, energy, disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .finished_run import FinishedRun
from .measured_run import Answer


@dataclass(frozen=True)
class Cost:
    """What one run took, the mean over the seeds. None where a run did not record it.

    `device_memory_gib` is None on a CPU. Memory is the most over the seeds. `energy_joules`, by part ("gpu", "cpu"),
    holds what every seed's run reports.
    """

    trainable_parameters: int
    total_parameters: int
    train_seconds: float | None
    images_per_second: float | None
    host_memory_gib: float | None
    device_memory_gib: float | None
    energy_joules: Mapping[str, float]
    artefact_bytes: int

    @property
    def trainable_share(self) -> float:
        """Of all parameters, 0..1."""
        return self.trainable_parameters / max(1, self.total_parameters)


def cost_of(answers: Sequence[Answer]) -> Cost:
    """What one method took, from the runs of its seeds."""
    runs = [answer.run for answer in answers]
    return Cost(
        trainable_parameters=answers[0].trainable,
        total_parameters=answers[0].total,
        train_seconds=_mean([_number(run.summary, "total_seconds", "train_seconds") for run in runs]),
        images_per_second=_mean([_speed(run) for run in runs]),
        host_memory_gib=_most([_number(run.summary, "peak_host_memory_gib", "peak_memory_gib") for run in runs]),
        device_memory_gib=_most([_number(run.summary, "peak_device_memory_gib") for run in runs]),
        energy_joules=_energy(runs),
        artefact_bytes=round(fmean(answer.artefact_bytes for answer in answers)),
    )


def _number(facts: Mapping[str, Any], *keys: str) -> float | None:
    """The largest of the numbers under these keys."""
    found = [facts[key] for key in keys if isinstance(facts.get(key), int | float)]
    return float(max(found)) if found else None


def _energy(runs: Sequence[FinishedRun]) -> dict[str, float]:
    """Mean joules of each part that every run reports."""
    reported = [run.summary.get("energy_joules") for run in runs]
    known = [facts for facts in reported if isinstance(facts, Mapping)]
    shared = set.intersection(*(set(facts) for facts in known)) if len(known) == len(runs) else set()
    return {part: fmean(float(facts[part]) for facts in known) for part in sorted(shared, reverse=True)}


def _speed(run: FinishedRun) -> float | None:
    speeds = [row.get("images_per_second") for row in run.history if row.get("epoch")]
    return fmean(speed for speed in speeds if isinstance(speed, int | float)) if speeds else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
