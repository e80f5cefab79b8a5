"""A run that other programs slow: noticed from its own speed and from theirs, and said once."""

from __future__ import annotations

from pathlib import Path

from ..files.visible import quoted
from ..machine.processors import allowed_processors, usable_processors
from ..machine.thread_waits import BUSY, WAITS, is_own_choice

WINDOW_SECONDS = 10.0
FEW_SECONDS = 2.0
"""Of updates at full speed that are enough to hold later ones against."""

SLOWED = 0.6
"""Share of the earlier speed below which a run is slowed."""


class SpeedWatch:
    """Holds the speed of updates against the best of this process so far, stage by stage of unfreezing."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._is_told = False
        self.new_stage()

    def new_stage(self) -> None:
        """What came before says nothing of the speed from here."""
        self._best = 0.0
        self._images, self._seconds, self._others = 0, 0.0, 0.0

    def after(self, n_images: int, seconds: float, others: float | None) -> str | None:
        """Count an update; `others` are the processors that other programs take. A sentence where one is due."""
        self._images += n_images
        self._seconds += seconds
        self._others += seconds * (others or 0.0)
        if self._seconds < (WINDOW_SECONDS if self._best else FEW_SECONDS):
            return None
        speed, taken = self._images / self._seconds, self._others / self._seconds
        self._images, self._seconds, self._others = 0, 0.0, 0.0
        best, self._best = self._best, max(self._best, speed)
        if self._is_told or speed >= SLOWED * best or taken < BUSY:
            return None
        self._is_told = True
        return (
            f"{speed:.0f} images/s, after {best:.0f}: other programs take {processors_taken(taken)}. The run is right"
            f" all the same, and goes on. To wait for a quieter time, stop it with Ctrl-C, and go on then with"
            f" `clipft train --resume {quoted(self._run)}`{_own_choice()}"
        )


def processors_taken(others: float) -> str:
    """As in "other programs take 1.0 of the 2 processors"."""
    return f"{others:.1f} of the {len(allowed_processors())} processors"


def beside_others() -> str | None:
    """A clause for the plan where the machine is shared just now; None where it is this process's own."""
    if WAITS.others is None or WAITS.others < BUSY:
        return None
    how = ", so the threads of this one wait asleep" if WAITS.are_asleep else ""
    return f"other programs take {processors_taken(WAITS.others)}{how}; times are less certain{_own_choice()}"


def kept_threads(n_threads: int | None) -> str | None:
    """For a resume: a sentence where the run keeps a number of threads that is not what this machine has."""
    here = usable_processors()
    if n_threads is None or n_threads <= here:
        return None
    return (
        f"the run keeps the {n_threads} threads that it began with, so that it goes on bit for bit; this process may"
        f" use {here} {'processor' if here == 1 else 'processors'}, so it is slower than one that begins here"
    )


def _own_choice() -> str:
    if not is_own_choice():
        return ""
    return ". OMP_WAIT_POLICY, GOMP_SPINCOUNT or KMP_BLOCKTIME is set: without it, waiting threads make room for others"
