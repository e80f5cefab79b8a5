"""What came of a run, as the screen and summary.json tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..checkpoint.kept import Kept
from ..machine.memory import peak_device_memory_gib, peak_host_memory_gib, peak_memory_gib
from ..metrics.val import ValMetrics
from ..model.nf4 import n_weights
from .finish import Finished
from .plan import n_trainable
from .resume import TrainState
from .run import Run
from .soup import Soup
from .start import Start


@dataclass(frozen=True)
class TrainResult:
    """A finished run. Metrics are on val; `zero_shot` is the pretrained model's, `start` the run's own start.

    `energy_joules`, by part ("gpu", "cpu"), is what the machine's own counters say; empty where it has none, and for
    a resumed run, part of which nobody watched.
    """

    run_dir: Path
    checkpoint: Path
    method: str
    start_kind: str
    zero_shot: ValMetrics
    start: ValMetrics
    best: ValMetrics
    kept: Kept
    epochs: int
    learning_rate: float
    alpha_curve: tuple[tuple[float, float], ...]
    temperature: float
    ece_before: float
    ece_after: float
    trainable_parameters: int
    total_parameters: int
    train_seconds: float
    total_seconds: float
    peak_memory_gib: float
    peak_host_memory_gib: float
    peak_device_memory_gib: float | None
    energy_joules: Mapping[str, float]
    skipped_steps: int
    bad_images: int
    stopped_early: bool
    soup: Soup | None = None
    n_test_images: int = 0

    @property
    def best_epoch(self) -> int:
        """The epoch the model is of; 0 where it is the start."""
        return self.kept.epoch

    @property
    def alpha(self) -> float:
        """Share of what was trained in a mix with the start: 1 is all, 0 the start itself."""
        return self.kept.alpha

    def to_json(self) -> dict[str, Any]:
        """As in summary.json."""
        return {
            **asdict(self),
            "best_epoch": self.best_epoch,
            "alpha": self.alpha,
            "kept": self.kept.to_json(),
            "run_dir": str(self.run_dir),
            "checkpoint": self.checkpoint.name,
        }


def result_of(
    run: Run, state: TrainState, start: Start, finished: Finished, *, seconds: float, joules: Mapping[str, float]
) -> TrainResult:
    """What came of a run with a loop; `seconds` are of this process."""
    return TrainResult(
        run_dir=run.run_dir.path,
        checkpoint=finished.checkpoint,
        method=run.config.method,
        start_kind=start.kind,
        zero_shot=start.zero_shot,
        start=start.metrics,
        best=finished.metrics,
        kept=finished.kept,
        epochs=state.epoch,
        learning_rate=run.config.training.peak_lr,
        alpha_curve=finished.curve,
        temperature=finished.temperature,
        ece_before=finished.ece_before,
        ece_after=finished.ece_after,
        trainable_parameters=n_trainable(run),
        total_parameters=n_weights(run.classifier),
        train_seconds=state.train_seconds,
        total_seconds=seconds,
        peak_memory_gib=peak_memory_gib(run.precision.device),
        peak_host_memory_gib=peak_host_memory_gib(),
        peak_device_memory_gib=peak_device_memory_gib(run.precision.device),
        energy_joules=dict(joules),
        skipped_steps=state.skipped_steps,
        bad_images=len(run.train_set.bad) + len(run.val_set.bad),
        stopped_early=state.is_stopped_early,
        soup=finished.soup,
        n_test_images=run.val_set.manifest.count("test"),
    )
