"""What a run and the runs before it were trained on, held against what measures it."""

from __future__ import annotations

from ..checkpoint.trained_on import TrainedOn, trained_before
from ..events import Note, OnEvent
from ..methods import METHODS
from .material import Material


def seen_before(material: Material) -> TrainedOn:
    """What the runs before this one were trained on."""
    parent = material.parent.checkpoint if material.parent is not None else None
    return trained_before(material.config.model, parent) or TrainedOn(is_whole=False)


def seen_after(material: Material, before: TrainedOn) -> TrainedOn:
    """What this run is trained on, too."""
    return before.and_then(material.train_set.rows if METHODS[material.config.method].learns else ())


def tell_of_seen(material: Material, before: TrainedOn, on_event: OnEvent) -> None:
    """Warn of val and test images that a run before this one was trained on."""
    named = material.parent.checkpoint.parent if material.parent is not None else material.config.model.name
    for split in ("val", "test"):
        rows = [row for row in material.manifest.rows if row.split == split]
        if seen := before.n_of(rows):
            told = f"{seen} of the {len(rows)} {split} images were trained on by {named} or a run before it"
            on_event(Note(f"{told}: figures on them are too good", is_warning=True))
    if not before.is_whole:
        told = f"{named} or a run before it keeps no list of the images that it was trained on (an earlier version)"
        on_event(Note(f"{told}: whether they are among val and test could not be checked", is_warning=True))
