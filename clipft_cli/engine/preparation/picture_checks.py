"""Pictures that are readable and yet may not be what a person thinks: black, flat, transparent, of many pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..files.visible import shown
from .checks import Picture

_FLAT = 2.0
"""Levels of 255: a thumbnail that varies less shows nothing."""
_DARK, _LIGHT = 12, 243
_BLOCK = 1_024
_TINY_PX = 32
_LONG = 8
"""Times as long as wide: of such a picture a square shows little."""


def warn_about_pictures(pictures: Sequence[Picture], warnings: list[str]) -> None:
    """One warning a kind, with how many images are of it and the first of them."""
    darkest, lightest, spread = _levels(pictures)
    is_dark, is_light = lightest <= _DARK, darkest >= _LIGHT
    of_colour = (
        (is_dark, "black or nearly so: if the files hold more, their range of values is not the usual one"),
        (is_light, "white or nearly so"),
        ((spread <= _FLAT) & ~is_dark & ~is_light, "of one colour"),
    )
    others = ((np.array([is_so(picture) for picture in pictures], bool), what) for is_so, what in _KINDS)
    for are_so, what in (*of_colour, *others):
        found = np.flatnonzero(are_so)
        if len(found):
            lead = "1 image is" if len(found) == 1 else f"{len(found):,} images are"
            warnings.append(f"{lead} {what} (such as {shown(pictures[found[0]].item.name, 80)})")

    warnings += _of_ranges(pictures)


def _levels(pictures: Sequence[Picture]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) each: the lowest and the highest level of a thumbnail, and the most that one of its colours varies."""
    found = [np.zeros((0, 3), np.int16)]
    for start in range(0, len(pictures), _BLOCK):
        thumbs = np.stack([picture.thumb for picture in pictures[start : start + _BLOCK]])  # (B, 16, 16, 3)
        low, high = thumbs.min(axis=(1, 2)).astype(np.int16), thumbs.max(axis=(1, 2)).astype(np.int16)
        found.append(np.stack([low.min(axis=1), high.max(axis=1), (high - low).max(axis=1)], axis=1))
    darkest, lightest, spread = np.concatenate(found).T
    return darkest, lightest, spread


def _of_ranges(pictures: Sequence[Picture]) -> list[str]:
    """What is taken as white in files of 16 bits: each file's own usual range, which may differ from another's."""
    found = [picture for picture in pictures if picture.header.bits not in (None, 16)]
    if not found:
        return []
    bits = sorted({bits for p in pictures if (bits := p.header.bits) is not None})
    lead = f"{len(found):,} images use" if len(found) > 1 else "1 image uses"
    example = f"(such as {shown(found[0].item.name, 80)})"
    if bits == [0]:
        return [f"{lead} a range of values of their own {example}: the smallest is black, the largest white"]
    if len(bits) == 1:
        return [f"{lead} {bits[0]} bits of 16, a {bits[0]}-bit range: {2 ** bits[0] - 1:,} is white {example}"]
    ranges = ", ".join(f"{n:,} of {_words(b)}" for b in bits if (n := sum(p.header.bits == b for p in pictures)))
    return [
        f"images of more than 8 bits use different ranges ({ranges}): each is scaled by its own, so one value may look"
        f" brighter in one than in another {example}. Where that matters, save all with one range"
    ]


def _words(bits: int) -> str:
    return f"{bits} bits" if bits else "a range of their own"


_KINDS: tuple[tuple[Callable[[Picture], bool], str], ...] = (
    (lambda p: p.header.is_transparent, "transparent in places: they are put on white, white drawings on black"),
    (lambda p: p.header.n_pages > 1, "of several pages or frames: the first is used, the others are not"),
    (
        lambda p: min(p.width, p.height) < _TINY_PX,
        f"less than {_TINY_PX} pixels high or wide: --min-size leaves such out",
    ),
    (
        lambda p: max(p.width, p.height) > _LONG * min(p.width, p.height),
        f"more than {_LONG} times as long as wide: see data.resize for what the model sees of them",
    ),
)
