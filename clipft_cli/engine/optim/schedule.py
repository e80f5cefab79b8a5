"""The course of the learning rate: pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...config.optim import ScheduleName

Schedule = Callable[[int, int, int], float]
"""(step, total_steps, n_warmup) -> factor on the peak learning rate: 1 at step `n_warmup`, the first it is asked for.

The warm-up is the same for all, and not the schedule's business. `step` counts from 0 and may reach `total_steps`.
"""


def cosine(step: int, total_steps: int, n_warmup: int) -> float:
    """From 1 after the warm-up to 0 at the end. Source: Loshchilov and Hutter 2017, without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * progress(step, total_steps, n_warmup)))


def linear(step: int, total_steps: int, n_warmup: int) -> float:
    """From 1 after the warm-up to 0 at the end, in a straight line."""
    return 1.0 - progress(step, total_steps, n_warmup)


def constant(step: int, total_steps: int, n_warmup: int) -> float:
    """1 throughout."""
    return 1.0


SCHEDULES: dict[ScheduleName, Schedule] = {
    "cosine": cosine,
    "linear": linear,
    "constant": constant,
}


def progress(step: int, total_steps: int, n_warmup: int) -> float:
    """How much of the run after its warm-up lies behind `step`, 0 to 1."""
    return (step - n_warmup) / max(1, total_steps - n_warmup)


def warmup_steps(total_steps: int, ratio: float) -> int:
    """Steps of the warm-up: the share `ratio` of the run, and never all of it."""
    return min(math.ceil(total_steps * ratio), max(0, total_steps - 1))


def lr_factor(step: int, total_steps: int, n_warmup: int, name: ScheduleName) -> float:
    """Factor on the peak learning rate at `step` (from 0): a linear warm-up that ends at 1, then the schedule.

    No step of the warm-up has factor 0, and behind the end of the run the factor stays what it is there.
    """
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    return SCHEDULES[name](min(step, max(total_steps, n_warmup + 1)), total_steps, n_warmup)


def rewarm_factor(steps_since_joining: int, n_rewarm: int) -> float:
    """Factor for layers that joined late: a short linear warm-up of their own."""
    return min(1.0, (steps_since_joining + 1) / (n_rewarm + 1))
