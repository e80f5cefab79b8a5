"""When a run keeps its images decoded, and what it says of it."""

from __future__ import annotations

from ..events import Note, Progress
from ..images.pack_images import Telling, keep_decoded
from ..methods import METHODS
from .context import RunContext
from .material import Material


def pack_images(material: Material, context: RunContext) -> None:
    """Before the first pass of a run that looks at its images more than once. Raises InterruptedRun after a signal."""
    config, on_event = material.config, context.on_event
    if not METHODS[config.method].trains_by_epochs or config.training.epochs < 2:
        return
    telling = Telling(
        note=lambda text, is_warning: on_event(Note(text, is_warning)),
        progress=lambda what, done, total: on_event(Progress(what, done, total)),
        check=context.stop.check,
    )
    datasets = {"val": material.val_set, "train": material.train_set}
    with context.telling_of_stop("while images were decoded; nothing new is trained yet"):
        keep_decoded(datasets, material.loader.workers, telling)
