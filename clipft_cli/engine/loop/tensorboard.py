"""What a run writes for TensorBoard: scalars, learning rates by group, a sample of mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
import torch
from torch.utils.tensorboard.writer import SummaryWriter

from ..events import EpochDone, Event, StepDone
from ..images.dataset import ImageDataset
from ..optim.groups import Group
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
        self._writer = SummaryWriter(str(run_dir.tensorboard), purge_step=resumed_at + 1)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, event: Event) -> None:
        """Write what this event holds for TensorBoard."""
        if isinstance(event, StepDone):
            for name in ("loss", "grad_norm", "images_per_second", "data_wait_share"):
                self._writer.add_scalar(f"train/{name}", getattr(event, name), event.step)
            trained = self._plan.trains(event.epoch - 1)  # the rest stands still: a hundred points a step, of zeros
            for group, rate in zip(self._groups, event.rates, strict=True):
                if group.layer not in trained:
                    continue
                self._writer.add_scalar(f"lr/{group.name}", rate, event.step)
        elif isinstance(event, EpochDone):
            for name, value in event.record.val.items():
                self._writer.add_scalar(f"val/{name}", value, event.record.step)
            trained = self._plan.trains(event.record.epoch - 1)
            n_parameters = sum(group.n_parameters for group in self._groups if group.layer in trained)
            self._writer.add_scalar("model/trainable_parameters", n_parameters, event.record.step)

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
