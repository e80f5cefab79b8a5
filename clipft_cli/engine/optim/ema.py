"""An exponential moving average of what trains."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


class EMA:
    """Averages with a window of `horizon_steps` updates (decay exp(-1 / horizon)), shorter at the start.

    Holds one float32 copy of each tensor. Source: Polyak and Juditsky 1992; warm-up as in TensorFlow's.
    """

    def __init__(self, tensors: Mapping[str, Tensor], horizon_steps: float) -> None:
        self.decay = math.exp(-1.0 / max(horizon_steps, 1.0))
        self.steps = 0
        self.average = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def update(self, tensors: Mapping[str, Tensor]) -> None:
        """Move the average towards `tensors`: all, or those that may have changed (what stays is its own average)."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        averages = [self.average[name] for name in tensors]
        torch._foreach_lerp_(averages, [tensor.detach() for tensor in tensors.values()], 1.0 - decay)

    @contextlib.contextmanager
    def swapped_in(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Within the block `tensors` hold the average, and the average what they held; afterwards all is as before.

        Storage changes hands: it takes no memory, so that it cannot run out of it.
        """
        self._exchange(tensors)
        try:
            yield
        finally:
            self._exchange(tensors)

    def _exchange(self, tensors: Mapping[str, Tensor]) -> None:
        for name, average in self.average.items():
            tensors[name].data, average.data = average.data, tensors[name].data


@torch.no_grad()
def copy_into(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy each of `values` into the tensor of the same name."""
    for name, value in values.items():
        tensors[name].copy_(value)
