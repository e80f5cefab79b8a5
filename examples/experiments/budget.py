"""How many epochs a compute budget buys: the cost of an update and of a forward, measured once for each method.

Epochs follow from measured costs and not from a clock that stops a run, so that the schedule is as long as the
run, and a machine that is busy or stopped for a while changes nothing.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from job import Job, Outcome

UPDATES = 7


@dataclass(frozen=True)
class Cost:
    """CPU seconds: `update` of 32 images with everything training that ever will, `image` without gradients."""

    update: float
    image: float


class _Enough(Exception):
    """Ends a run that only measures its cost."""


def measure_update(run: Callable[[Job], Outcome], job: Job) -> float:
    """Median CPU seconds of an update, the first two left out."""
    marks: list[float] = []

    def on_step() -> None:
        marks.append(time.process_time())
        if len(marks) > UPDATES:
            raise _Enough

    sets = (*job.sets, "training.progressive_unfreezing.enabled=false")
    with contextlib.suppress(_Enough):
        run(replace(job, sets=sets, n_epochs=3, with_test=False, on_step=on_step))
    gaps = [after - before for before, after in pairwise(marks[1:])]
    return statistics.median(gaps)


def epochs_for(method: str, budget: float, cost: Cost, n_train: int, n_val: int) -> int:
    """Epochs that fit into `budget` CPU seconds, one at least.

    Own methods pay for the probe and for the mixes at the end out of the same budget; each method pays for val after
    every epoch. In the reference's schedule a tenth of the epochs trains the head and a fifth the last block as well.
    """
    updates = -(-n_train // 32)
    epoch = updates * cost.update
    fixed = 0.0
    if method.startswith("reference-full"):
        epoch = 0.7 * epoch + 0.3 * 1.15 * n_train * cost.image
    if method in ("full", "lora", "few-shot"):
        fixed = (n_train + 6 * n_val) * cost.image
    if method.startswith("reference"):
        fixed = 3 * n_val * cost.image
    return max(1, int((budget - fixed) / (epoch + n_val * cost.image)))
