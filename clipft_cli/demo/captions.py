"""Captions of the pretraining pictures: varied, often partial, now and then wrong, as found captions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .breeds import BREEDS
from .sketches import Facts

NAMED = (
    "a photo of a {name}.",
    "a photo of a {name}, a type of {kind}.",
    "a drawing of a {name}.",
    "a {name}.",
    "a picture of a {name}, a type of {kind}.",
    "{name}",
    "a {style} of a {name}.",
    "a {style} of a {colour} {name}.",
    "my {name}",
    "the {name} is {posing}.",
    "a {name} {posing}",
    "one {name}, {style}",
    "an illustration of the {name}.",
    "a close-up of a {name}.",
    "a {name} with {ear} ears",
    "cute {name}",
)
PARTIAL = (
    "a photo of a {kind}.",
    "a {colour} {kind}.",
    "a {kind} with {ear} ears",
    "a {kind} {posing}",
    "a {style} of a {kind}",
    "a {colour} {kind} {posing}, {style}",
    "a {kind}",
    "a picture of an animal.",
)
STILL = (
    "a {colour} {name}",
    "a photo of a {name}.",
    "{count} {colour} {name}",
    "a drawing of a {colour} {name}.",
    "a {name}",
    "{count} {name}",
    "something {colour}",
)
POSING = {"stand": "standing", "walk": "walking", "sit": "sitting", "lie": "lying down"}
EARS = {"prick": "pointed", "drop": "long hanging", "fold": "folded", "wing": "wide", "": ""}
STYLE_WORDS = {
    "icon": ("icon", "flat drawing", "clip art"),
    "sketch": ("sketch", "line drawing"),
    "poster": ("poster", "print"),
    "silhouette": ("paper cut", "silhouette"),
    "figurine": ("toy", "figurine"),
}


@dataclass(frozen=True)
class Noise:
    """Odds that a caption leaves the name out, or names another breed."""

    partial: float = 0.25
    wrong: float = 0.08


def write_caption(facts: Facts, rng: np.random.Generator, noise: Noise) -> str:
    """One caption for the picture with these facts."""
    if facts.kind in ("thing", "shape"):
        pattern = str(rng.choice(STILL))
    else:
        pattern = str(rng.choice(PARTIAL if rng.random() < noise.partial else NAMED))
    name = facts.name
    if facts.kind == "dog" and rng.random() < noise.wrong:
        name = str(rng.choice(list(BREEDS)))
    return pattern.format(
        name=name.replace("_", " "),
        kind=facts.kind,
        colour=facts.colour,
        style=str(rng.choice(STYLE_WORDS[facts.style])),
        posing=POSING[facts.pose],
        ear=EARS[facts.ear],
        count=("one", "two", "three")[facts.count - 1],
    )
