"""When a run keeps its images decoded, and what it says of it."""

from __future__ import annotations

from ...errors import InterruptedRun
from ..events import Note, OnEvent, Progress
from ..files.visible import quoted
from ..images.pack_images import Telling, keep_decoded
from ..machine.signals import Stopped, StopRequest
from ..methods import METHODS
from ..run_dir import RunDir
from .material import Material


def pack_images(material: Material, run_dir: RunDir, on_event: OnEvent, stop: StopRequest) -> None:
    """Before the first pass of a run that looks at its images more than once. Raises InterruptedRun after a signal."""
    config = material.config
    if not METHODS[config.method].trains_by_epochs or config.training.epochs < 2:
        return
    telling = Telling(
        note=lambda text, is_warning: on_event(Note(text, is_warning)),
        progress=lambda what, done, total: on_event(Progress(what, done, total)),
        check=stop.check,
    )
    datasets = {"val": material.val_set, "train": material.train_set}
    try:
        keep_decoded(datasets, material.loader.workers, telling)
    except Stopped:
        raise InterruptedRun(
            "interrupted while images were decoded; nothing new is trained yet",
            hint=f"go on with `clipft train --resume {quoted(run_dir.path)}`",
        ) from None
