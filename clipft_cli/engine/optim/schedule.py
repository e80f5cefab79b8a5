"""The course of the learning rate: pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...config.optim import ScheduleName


def cosine(progress: float) -> float:
    """From 1 at progress 0 to 0 at 1. Source: Loshchilov and Hutter 2017, without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def linear(progress: float) -> float:
    """From 1 at progress 0 to 0 at 1, in a straight line."""
    return 1.0 - progress


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


SCHEDULES: dict[ScheduleName, Callable[[float], float]] = {
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
}


def warmup_steps(total_steps: int, ratio: float) -> int:
    """Steps of the warm-up: the share `ratio` of the run, and never all of it."""
    return min(math.ceil(total_steps * ratio), max(0, total_steps - 1))


def lr_factor(step: int, total_steps: int, n_warmup: int, name: ScheduleName) -> float:
    """Factor on the peak learning rate at `step` (from 0): a linear warm-up that ends at 1, then the schedule.

    No step of the warm-up has factor 0, and the last step of the run is the first that would reach 0.
    """
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    progress = (step - n_warmup) / max(1, total_steps - n_warmup)
    return SCHEDULES[name](min(1.0, progress))


def rewarm_factor(steps_since_joining: int, n_rewarm: int) -> float:
    """Factor for layers that joined late: a short linear warm-up of their own."""
    return min(1.0, (steps_since_joining + 1) / (n_rewarm + 1))
