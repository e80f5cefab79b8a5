"""What a run writes for TensorBoard: loss and val first, then how the work goes, and a sample of mistakes.

TensorBoard shows the groups of its curves by the alphabet: loss, val, work.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
import torch
from torch.utils.tensorboard.writer import SummaryWriter

from ..events import EpochDone, EpochRecord, Event, StepDone
from ..images.dataset import ImageDataset
from ..optim.groups import Group, by_rate
from ..optim.unfreeze import UnfreezePlan
from ..preparation.layout import markdown_text
from ..run_dir import RunDir

MISTAKES = 16


class TensorBoard:
    """Writes events as they come. A resumed run hides what was written after the step it goes on from."""

    def __init__(
        self,
        run_dir: RunDir,
        groups: Sequence[Group],
        plan: UnfreezePlan,
        resumed_at: int,
    ) -> None:
        self._groups = groups
        self._plan = plan
        self._rates = by_rate(groups, plan)
        self._is_new = resumed_at == 0
        # where nothing was trained yet, the start is written anew; else all after the saved step is
        self._writer = SummaryWriter(str(run_dir.events), purge_step=0 if self._is_new else resumed_at + 1)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, event: Event) -> None:
        """Write what this event holds for TensorBoard."""
        if isinstance(event, StepDone):
            self._write_step(event)
        elif isinstance(event, EpochDone) and event.record.epoch > 0:
            self._write_epoch(event.record)
            trained = self._plan.trains(event.record.epoch - 1)
            n_parameters = sum(group.n_parameters for group in self._groups if group.layer in trained)
            self._writer.add_scalar("work/trainable_parameters", n_parameters, event.record.step)
        elif isinstance(event, EpochDone) and self._is_new:
            self._write_epoch(event.record)

    def _write_step(self, event: StepDone) -> None:
        self._writer.add_scalar("loss/train", event.loss, event.step)
        for name in ("grad_norm", "images_per_second", "data_wait_share"):
            self._writer.add_scalar(f"work/{name}", getattr(event, name), event.step)
        trained = self._plan.trains(event.epoch - 1)  # the rest stands still: points of zeros
        for name, first in self._rates.items():
            if self._groups[first].layer in trained:
                self._writer.add_scalar(f"work/learning_rate of {name}", event.rates[first], event.step)

    def _write_epoch(self, record: EpochRecord) -> None:
        for name, value in record.val.items():
            tag = "loss/val" if name == "loss" else f"val/{name}"
            self._writer.add_scalar(tag, value, record.step)

    def add_mistakes(self, dataset: ImageDataset, logits: torch.Tensor, step: int) -> None:
        """The misclassified images the model was surest of, with a line of text each."""
        predicted = logits.argmax(dim=1).numpy()
        confidence = logits.softmax(dim=1).amax(dim=1).numpy()
        wrong = np.flatnonzero(predicted != dataset.labels)
        worst = wrong[np.argsort(-confidence[wrong])][:MISTAKES]
        if len(worst) == 0:
            return
        pixels = np.stack([dataset.eval_pixels(int(i)) for i in worst])  # (n, 3, H, W) uint8
        self._writer.add_images("val/misclassified", pixels, step)
        names = [markdown_text(cls.readable) for cls in dataset.manifest.classes]
        lines = [
            f"{markdown_text(dataset.rows[i].path)}: {names[dataset.labels[i]]} taken for"
            f" {names[predicted[i]]} ({confidence[i]:.0%})"
            for i in worst
        ]
        self._writer.add_text("val/misclassified", "\n\n".join(lines), step)
