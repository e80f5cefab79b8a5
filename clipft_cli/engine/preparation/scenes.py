"""Pictures that are all alike because they show one scene: parts under a fixed camera, scans of one form.

There, being alike does not mean being the same picture, so near duplicates are neither joined nor removed. A scene
is known by the distribution of likeness, not by any one pair: copies come in small groups, a scene makes crowds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..files.visible import shown
from .checks import Picture
from .likeness import Pairs, near_pairs

_SAMPLE = 1_500
_CROWD = 200
"""As many pictures like itself, on average, no class of copies has; a million pairs are enough to look at."""

_FEWEST = 6
"""Fewer pictures of a class say nothing about a distribution."""

_OTHER_LABELS = 3.0
"""Pictures under other labels, on average, that those of a group are like. A picture with two labels makes 1."""


def crowded_labels(pictures: Sequence[Picture], distance: int) -> set[str]:
    """Classes whose pictures are like so many others that to look at each pair would take hours, from a sample.

    The sample depends on the contents of the files alone. A set of no more than its size is never crowded.
    """
    if len(pictures) <= _SAMPLE:
        return set()
    chosen = sorted(pictures, key=lambda p: hashlib.sha256(p.sha256.encode()).digest())[:_SAMPLE]
    pairs = near_pairs(chosen, distance)
    ends = Counter(chosen[i].item.label for i in (*pairs.first.tolist(), *pairs.second.tolist()))
    seen = Counter(picture.item.label for picture in chosen)
    scale = len(pictures) / len(chosen)
    return {label for label, n in ends.items() if n * scale / seen[label] > _CROWD}


def scene_labels(pictures: Sequence[Picture], pairs: Pairs) -> set[str]:
    """Classes in which the typical two pictures are alike: more than half of all pairs within the class."""
    labels = [picture.item.label for picture in pictures]
    alike = Counter(labels[i] for i, j in _both(pairs) if labels[i] == labels[j])
    sizes = Counter(labels)
    return {label for label, n in alike.items() if (size := sizes[label]) >= _FEWEST and 4 * n > size * (size - 1)}


def scene_groups(pictures: Sequence[Picture], pairs: Pairs, groups: Sequence[int]) -> set[int]:
    """Groups of alike pictures whose members are like several pictures under other labels each, unturned.

    One picture laid in four ways has four labels in a set for finding which way is up, and is no scene.
    """
    labels = [picture.item.label for picture in pictures]
    as_they_lie = _both(pairs.at(~pairs.is_turned))
    across: Counter[int] = Counter(groups[i] for i, j in as_they_lie if labels[i] != labels[j])
    sizes = Counter(groups)
    return {group for group, n in across.items() if 2 * n >= _OTHER_LABELS * sizes[group]}


def without_labels(pictures: Sequence[Picture], pairs: Pairs, labels: set[str]) -> Pairs:
    """The pairs that have no picture of these classes."""
    is_left = np.array([picture.item.label not in labels for picture in pictures], bool)
    return pairs.at(is_left[pairs.first] & is_left[pairs.second])


def scene_warning(pictures: Sequence[Picture], is_alike: np.ndarray) -> str:
    """What to tell a person about the pictures, a mask (N,), that are left as they are."""
    alike = [picture for picture, is_one in zip(pictures, is_alike, strict=True) if is_one]
    labels = sorted({picture.item.label for picture in alike})
    named = ", ".join(shown(name, 40) for name in labels[:5]) + (", ..." if len(labels) > 5 else "")
    return (
        f"{len(alike):,} images look alike, as under a fixed camera ({named}; such as {shown(alike[0].item.name, 80)}):"
        " near duplicates among them are not looked for. If several are of one part, patient or clip,"
        " keep those in one split with `--group-column` or `--paths`"
    )


def _both(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
