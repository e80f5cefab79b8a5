"""Which layers train in which epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...config.optim import ProgressiveUnfreezingConfig, UnfreezeStep
from ...errors import ConfigError
from ..model.layers import HEAD, Layer, match_layers

KEY = "training.progressive_unfreezing.unfreeze_schedule"


@dataclass(frozen=True)
class UnfreezePlan:
    """`first_epoch[i]` is the epoch from which layer i trains; None: never."""

    first_epoch: tuple[int | None, ...]

    def trains(self, epoch: int) -> frozenset[int]:
        """Indexes of the layers that train in `epoch`."""
        return frozenset(i for i, first in enumerate(self.first_epoch) if first is not None and first <= epoch)

    @property
    def stages(self) -> tuple[int, ...]:
        """Epochs at which something joins, in order."""
        return tuple(sorted({first for first in self.first_epoch if first is not None}))


def plan_unfreezing(config: ProgressiveUnfreezingConfig, layers: Sequence[Layer], num_epochs: int) -> UnfreezePlan:
    """The plan for this tower and run. Layers once unfrozen stay so.

    Raises ConfigError for an unknown layer, or a stage that lies behind the last epoch.
    """
    if not config.enabled:
        return UnfreezePlan((0,) * len(layers))
    schedule = config.unfreeze_schedule or scaled_reference(layers, num_epochs)
    first: list[int | None] = [None] * len(layers)
    for step in sorted(schedule, key=lambda step: step.epoch):
        if step.epoch >= num_epochs:
            raise ConfigError(
                f"{KEY}: epoch {step.epoch} lies behind the last epoch, {num_epochs - 1} (epochs count from 0)",
                hint="raise training.num_epochs, or leave unfreeze_schedule out to have it scaled to the run",
            )
        for i in match_layers(step.layers, layers, KEY):
            if first[i] is None:
                first[i] = step.epoch
    return UnfreezePlan(tuple(first))


def scaled_reference(layers: Sequence[Layer], num_epochs: int) -> tuple[UnfreezeStep, ...]:
    """The reference's schedule (head at 0, last block at 2, all at 6 of 20 epochs) in proportion."""
    last_block = [layer.name for layer in layers if layer.name.startswith("block.")][-1:]
    steps = {0: (HEAD,)}
    for numerator, names in ((2, tuple(last_block)), (6, ("all",))):
        epoch = min(round(numerator * num_epochs / 20), num_epochs - 1)
        if names:
            steps[epoch] = (*steps.get(epoch, ()), *names)
    return tuple(UnfreezeStep(epoch=epoch, layers=names) for epoch, names in sorted(steps.items()))
