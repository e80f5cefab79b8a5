"""What one run is given and what it gives back; compute is counted in CPU seconds of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from clipft_cli.engine.metrics.calibration import fit_temperature


@dataclass(frozen=True)
class Job:
    """One method on one prepared data set. `n_epochs` 0: a method without epochs.

    `on_step`, where given, is called after every update; it may raise to end a run that only measures its cost.
    """

    data_dir: Path
    weights: Path
    scratch: Path
    seed: int
    n_epochs: int
    sets: tuple[str, ...] = ()
    with_test: bool = True
    on_step: Callable[[], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """Val top-1 in 0..1 and `calibrated_loss` on val; `hits` (N,) bool for the test images, empty where not measured.

    `course` is (CPU seconds, val top-1) after each epoch; `kept` says which weights were kept, by val.
    """

    described: dict[str, str]
    n_epochs: int
    cpu_seconds: float
    val_top1: float
    val_loss: float
    kept: str
    course: tuple[tuple[float, float], ...]
    hits: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))


class Clock:
    """CPU seconds since it was made: on one thread a machine under other load counts the same as an idle one."""

    def __init__(self) -> None:
        self._began = time.process_time()

    @property
    def seconds(self) -> float:
        """CPU seconds of all threads of this process."""
        return time.process_time() - self._began


def calibrated_loss(logits: Tensor, labels: Tensor) -> float:
    """Mean cross-entropy at the temperature that suits these logits best: compares heads of any scale."""
    temperature = fit_temperature(logits.numpy(), labels.numpy())
    return float(F.cross_entropy(logits.double() / temperature, labels))
