"""The optimizer over the groups, and its learning rates at a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ...config.optim import TrainingConfig
from ..events import Group
from .schedule import lr_factor, rewarm_factor
from .unfreeze import UnfreezePlan


def build_optimizer(groups: Sequence[Group], parameters: Mapping[str, nn.Parameter]) -> torch.optim.AdamW:
    """Fused AdamW with one torch group for each of `groups`, in their order."""
    return torch.optim.AdamW(
        [
            {
                "params": [parameters[name] for name in group.parameters],
                "lr": group.peak_lr,
                "weight_decay": group.weight_decay,
            }
            for group in groups
        ],
        betas=(0.9, 0.999),
        eps=1e-8,
        fused=True,
    )


@dataclass(frozen=True)
class LearningRates:
    """Learning rate of each group as a function of the step: schedule, and a short warm-up for what joins late."""

    groups: tuple[Group, ...]
    plan: UnfreezePlan
    total_steps: int
    steps_per_epoch: int
    n_warmup: int
    config: TrainingConfig

    @property
    def n_rewarm(self) -> int:
        """Warm-up steps of layers that join after the start: half the run's own warm-up, half an epoch at most."""
        return max(1, min(self.n_warmup, self.steps_per_epoch) // 2)

    def at(self, step: int, scale: float = 1.0) -> list[float]:
        """Learning rates at `step` (from 0), in the order of `groups`; `scale` is 1 but after a rollback."""
        factor = scale * lr_factor(step, self.total_steps, self.n_warmup, self.config.schedule)
        return [group.peak_lr * factor * self._joining(group, step) for group in self.groups]

    def _joining(self, group: Group, step: int) -> float:
        first_epoch = self.plan.first_epoch[group.layer]
        if not first_epoch:  # from the start, or never
            return 1.0
        joined = step - first_epoch * self.steps_per_epoch
        return rewarm_factor(joined, self.n_rewarm) if joined >= 0 else 0.0
