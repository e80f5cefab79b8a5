"""The numbers of an event under the names of its curves: loss, val, and how the work goes."""

from __future__ import annotations

from collections.abc import Sequence

from ..events import EpochDone, EpochRecord, Event, Group, StepDone
from ..optim.groups import by_rate
from ..optim.unfreeze import UnfreezePlan


class Curves:
    """For a run of these groups; without any, for one that has no loop."""

    def __init__(self, groups: Sequence[Group] = (), plan: UnfreezePlan | None = None) -> None:
        self._groups = groups
        self._plan = plan or UnfreezePlan(())
        self._rates = by_rate(groups, self._plan)

    def of(self, event: Event) -> dict[str, float]:
        """Curve -> value; nothing for an event without numbers."""
        if isinstance(event, StepDone):
            return self._of_step(event)
        return self._of_epoch(event.record) if isinstance(event, EpochDone) else {}

    def _of_step(self, event: StepDone) -> dict[str, float]:
        values = {"loss/train": event.loss}
        for name in ("grad_norm", "images_per_second", "data_wait_share"):
            values[f"work/{name}"] = getattr(event, name)
        trained = self._plan.trains(event.epoch - 1)  # the rest stands still: points of zeros
        for name, first in self._rates.items():
            if self._groups[first].layer in trained:
                values[f"work/learning_rate of {name}"] = event.rates[first]
        return values

    def _of_epoch(self, record: EpochRecord) -> dict[str, float]:
        values = {"loss/val" if name == "loss" else f"val/{name}": value for name, value in record.val.items()}
        if record.epoch > 0 and self._groups:
            trained = self._plan.trains(record.epoch - 1)
            counts = [group.n_parameters for group in self._groups if group.layer in trained]
            values["work/trainable_parameters"] = sum(counts)
        return values
