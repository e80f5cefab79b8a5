"""Classes of which no image is recognised: what an accuracy of 93% can hide where one class has most of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..files.visible import visible


def never_answered(logits: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """The classes that have images here and are the answer to none of these; logits (N, C), labels (N,)."""
    right = np.unique(labels[logits.argmax(axis=1) == labels])
    return [visible(names[label]) for label in np.unique(labels) if label not in right]


def told_of(never: Sequence[str], split: str, *, balance_may_help: bool) -> str:
    """The sentence, with the way out where it was not taken."""
    named = ", ".join(never[:5]) + (", ..." if len(never) > 5 else "")
    verb, it = ("is", "it") if len(never) == 1 else ("are", "them")
    ways = "" if not balance_may_help else ": where they have few images, train with `--set data.class_balance=loss`"
    return f"{named} {verb} never predicted for an image of {split} that shows {it}{ways}"
