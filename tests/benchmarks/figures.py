"""From rounds to figures: every ratio is of one round, what is shown is their median and quartiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .schedule import WEIGHTS

Kind = Literal["faster", "time", "memory", "gemm_share", "seconds", "more_seconds", "schedule", "note"]


@dataclass(frozen=True)
class Figure:
    """What a row shows of `side`, `against` another, and the value it should reach.

    faster: how many times the other's time; time and memory: share of the other's; gemm_share: least time at the
    measured GEMM rate (of the side `against`) over the time taken; seconds; more_seconds: than the other;
    schedule: `faster` for a whole schedule, its epochs summed by the weights of those that were run;
    note: what the side wrote down under `note`. `why_missed` is what a profile says of a figure that is missed.
    """

    what: str
    kind: Kind
    side: str
    against: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""
    why_missed: str = ""

    def is_met(self, value: float) -> bool | None:
        """None where nothing is wanted."""
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.at_most is None else value <= self.at_most


def figure_of(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figure from the rounds of its sides: median and quartiles of the paired values."""
    values = np.array(_VALUES[figure.kind](figure, sides), dtype=float)
    low, median, high = np.percentile(values, (25, 50, 75))
    return {
        "what": figure.what,
        "kind": figure.kind,
        "side": figure.side,
        "against": figure.against,
        "median": float(median),
        "quartiles": [float(low), float(high)],
        "rounds": len(values),
        "at_least": figure.at_least,
        "at_most": figure.at_most,
        "is_met": figure.is_met(float(median)),
    }


def _seconds(sides: Mapping[str, Mapping[str, Any]], name: str) -> np.ndarray:
    """Seconds for one unit of work, round by round."""
    return np.array(sides[name]["seconds"]) / sides[name]["units"]


def _faster(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    return list(_seconds(sides, figure.against) / _seconds(sides, figure.side))


def _time(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    return list(_seconds(sides, figure.side) / _seconds(sides, figure.against))


def _memory(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    own, other = sides[figure.side]["peak_gib"], sides[figure.against]["peak_gib"]
    return [own / other if own and other else float("nan")]


def _gemm_share(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    floor = sides[figure.side]["notes"]["flops"] * _seconds(sides, figure.against)
    return list(floor / _seconds(sides, figure.side))


def _in_seconds(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    return list(_seconds(sides, figure.side))


def _more_seconds(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    return list(_seconds(sides, figure.side) - _seconds(sides, figure.against))


def _schedule(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    own, other = (
        np.array(sides[name]["seconds"]).reshape(-1, len(WEIGHTS)) @ np.array(WEIGHTS)
        for name in (figure.side, figure.against)
    )
    return list(other / own)


def _note(figure: Figure, sides: Mapping[str, Mapping[str, Any]]) -> Sequence[float]:
    values = sides[figure.side]["notes"][figure.note]
    return list(values) if isinstance(values, list) else [values]


_VALUES = {
    "faster": _faster,
    "time": _time,
    "memory": _memory,
    "gemm_share": _gemm_share,
    "seconds": _in_seconds,
    "more_seconds": _more_seconds,
    "schedule": _schedule,
    "note": _note,
}
