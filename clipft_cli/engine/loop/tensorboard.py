"""What a run writes for TensorBoard: loss and val first, then how the work goes, and a sample of mistakes.

TensorBoard shows the groups of its curves by the alphabet: loss, val, work.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import numpy as np
import torch
from torch.utils.tensorboard.writer import SummaryWriter

from ..events import EpochDone, Event, StepDone
from ..images.dataset import ImageDataset
from ..preparation.layout import markdown_text
from ..run_dir import RunDir

MISTAKES = 16


class TensorBoard:
    """Writes events as they come. A resumed run hides what was written after the step it goes on from."""

    def __init__(
        self,
        run_dir: RunDir,
        resumed_at: int,
    ) -> None:
        self._is_new = resumed_at == 0
        # where nothing was trained yet, the start is written anew; else all after the saved step is
        self._writer = SummaryWriter(str(run_dir.events), purge_step=0 if self._is_new else resumed_at + 1)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, event: Event, values: Mapping[str, float]) -> None:
        """Write the numbers of this event; a resumed run has those of its start."""
        if isinstance(event, StepDone):
            step = event.step
        elif isinstance(event, EpochDone) and (event.record.epoch > 0 or self._is_new):
            step = event.record.step
        else:
            return
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

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
