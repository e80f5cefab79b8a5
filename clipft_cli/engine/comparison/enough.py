"""Whether the images of a comparison can tell anything: with few of them every figure may be almost any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..metrics.intervals import Interval, wilson

MAX_WIDTH = 0.20
"""Width of a 95% interval of top-1 beyond which nothing is recommended."""

MAX_IMAGES = 100
"""With these, Wilson's interval of any share is narrower than MAX_WIDTH."""


@dataclass(frozen=True)
class TooFew:
    """`n_images` that cannot tell: the widest interval of those in question is `width` wide (0..1), and about
    `n_needed` would make it MAX_WIDTH.
    """

    n_images: int
    width: float
    n_needed: int


def too_few(in_question: Sequence[Interval], n_images: int) -> TooFew | None:
    """None where `n_images` are enough to know each of these shares to MAX_WIDTH."""
    widest = max(in_question, key=_width)
    if _width(widest) <= MAX_WIDTH:
        return None
    share = (widest.low + widest.high) / 2  # of so few images the share itself says less than the interval's middle
    narrow = (n for n in range(n_images + 1, MAX_IMAGES) if _width(wilson(round(share * n), n)) <= MAX_WIDTH)
    needed = next(narrow, max(MAX_IMAGES, n_images + 1))
    return TooFew(n_images, _width(widest), needed)


def _width(interval: Interval) -> float:
    return interval.high - interval.low
