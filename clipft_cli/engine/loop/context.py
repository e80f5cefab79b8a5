"""Where a run is made: its folder, who is told of it, and what may stop it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...errors import InterruptedRun
from ..events import OnEvent
from ..files.visible import quoted
from ..images.dataset import ImageDataset
from ..machine.energy import EnergyMeter, joules_of
from ..machine.signals import Stopped, StopRequest
from ..run_dir import RunDir
from .bad_images import listing_bad


@dataclass(frozen=True)
class RunContext:
    """What every stage of a run is given. `meter` counts its energy; None in a run that is resumed, part of which
    nobody watched. `began` is when this process began with it, on the clock of time.perf_counter.
    """

    run_dir: RunDir
    on_event: OnEvent
    stop: StopRequest
    meter: EnergyMeter | None
    began: float = field(default_factory=time.perf_counter)

    @property
    def is_resumed(self) -> bool:
        """Whether the run was begun by another process."""
        return self.meter is None

    @property
    def seconds(self) -> float:
        """Since this process began with the run."""
        return time.perf_counter() - self.began

    @property
    def joules(self) -> dict[str, float]:
        """Of the run so far, by part of the machine; empty where nothing is known of them."""
        return dict(joules_of(self.meter))

    @contextlib.contextmanager
    def stopping_at_once(self, when: str) -> Iterator[None]:
        """A block in which nothing is trained, so that a signal need not wait. Raises InterruptedRun after one."""
        with self.telling_of_stop(when), self.stop.at_once():
            yield

    @contextlib.contextmanager
    def telling_of_stop(self, when: str) -> Iterator[None]:
        """A block that a signal ends between two pieces of work. Raises InterruptedRun after one."""
        try:
            yield
        except Stopped:
            raise InterruptedRun(
                f"interrupted {when}",
                hint=f"go on with `clipft train --resume {quoted(self.run_dir.path)}`",
            ) from None

    def listing_bad(self, *datasets: ImageDataset) -> contextlib.AbstractContextManager[None]:
        """A block at the end of which the images that could not be read are in problems.csv."""
        return listing_bad(datasets, self.run_dir, self.on_event)
