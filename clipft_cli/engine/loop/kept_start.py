"""The start of a run: read where the run has kept it, measured where it must be."""

from __future__ import annotations

import torch

from ..checkpoint.zero_shot import text_head
from ..events import Note
from ..methods import METHODS
from ..metrics.val import ValMetrics
from .activation import tell_of_activation
from .context import RunContext
from .material import Material
from .start import DamagedStart, Start, choose_start, read_start, save_start


def known_start(material: Material, context: RunContext) -> Start | None:
    """The start as the run has kept it; None where it must be measured again, which gives the same."""
    folder = context.run_dir.start
    if not folder.is_dir():
        return None
    try:
        start = read_start(folder, material.inputs.digests)
    except DamagedStart as error:
        context.on_event(Note(f"{error.message}: it is measured again", is_warning=True))
        return None
    return start if METHODS[material.config.method].trains_by_epochs else None


def measured_start(material: Material, context: RunContext) -> Start:
    """Measured on train and val, and kept. Raises InterruptedRun after a signal."""
    when = "while the start was measured; nothing is trained yet"
    with context.stopping_at_once(when), context.listing_bad(material.train_set, material.val_set):
        tell_of_activation(material, context.on_event)
        text = text_head(material.backbone, material.manifest.classes, material.templates)
        start = choose_start(material, text, context.on_event)
    save_start(context.run_dir.start, start, material.inputs.digests)
    return start


def text_start(material: Material) -> Start:
    """The class prompts' head, of which nothing was measured: what a rehearsal begins with."""
    nothing = ValMetrics(loss=0.0, top1=0.0)
    head = text_head(material.backbone, material.manifest.classes, material.templates)
    return Start(head, "text", nothing, None, None, torch.empty(0))
