"""The one building block of a body: a tapered capsule in space, with its colours."""

from __future__ import annotations

from dataclasses import dataclass

from .coats import Rgb

Vec = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A tapered capsule from `a` (radius `ra`) to `b` (radius `rb`).

    `top` and `under` colour its upper and lower side, `tip` its far end. `blend` is the width in
    which it melts into its neighbours, `flat` scales its depth (an ear is a flat capsule), `gloss`
    makes it wet, `fur` is how much of the coat's fluff it wears.
    """

    a: Vec
    b: Vec
    ra: float
    rb: float
    colour: Rgb
    top: Rgb | None = None
    under: Rgb | None = None
    tip: Rgb | None = None
    blend: float = 0.04
    flat: float = 1.0
    gloss: float = 0.0
    fur: float = 1.0
