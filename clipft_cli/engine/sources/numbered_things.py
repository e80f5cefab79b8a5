"""Folders of one patient, subject or clip each, with classes inside: `patient07/ill`, `patient11/study1_positive`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ..labels.alike import as_read
from .shape import IMAGE_FOLDERS, Folder, is_mask_folder, without_masks
from .split_words import split_word

_MIN_THINGS = 3
_MAX_DEPTH = 3
_NUMBER_IN_FRONT = re.compile(r"(\D*)\d+([ _.-]+)(\D*[^\W\d_]\D*)")
"""A number of its own before what says the class: `study1_positive`."""


def things_with_classes(kids: Sequence[Folder]) -> Iterator[tuple[int, list[Folder], str, list[str]]]:
    """Levels of folders, counted from `kids` as 0, that are one thing each and hold class folders: the level, its
    folders, the field of a template for the folders inside, and the classes that these are.

    The names of such folders differ in a number alone; those inside are words, and each stands in several things.
    """
    level = list(kids)
    for depth in range(_MAX_DEPTH):
        if any(folder.images for folder in level):
            return
        if _is_series([folder.name for folder in level]) and (found := _classes_inside(level)):
            yield depth, level, *found
        level = [inside for folder in level for inside in without_masks(folder.full())]


def _is_series(names: Sequence[str]) -> bool:
    distinct = set(names)
    shapes = {re.sub(r"\d+", "#", name.casefold()) for name in distinct}
    return len(distinct) >= _MIN_THINGS and len(shapes) == 1 and "#" in shapes.pop()


def _classes_inside(things: Sequence[Folder]) -> tuple[str, list[str]] | None:
    """The field of a template, and the classes, where few words stand in many of the things."""
    inside = [[kid.name for kid in without_masks(thing.full())] for thing in things]
    names = sorted({name for one in inside for name in one})
    parts = [_NUMBER_IN_FRONT.fullmatch(name) for name in names]
    field = "{class}"
    if names and all(parts):
        leads = {(found[1], found[2]) for found in parts if found}
        if len(leads) == 1:
            lead, between = leads.pop()
            field = f"{{:{re.escape(lead)}\\d+{re.escape(between)}}}{{class}}"
            inside = [[found[3] for name in one if (found := _NUMBER_IN_FRONT.fullmatch(name))] for one in inside]
    counts = Counter(name for one in inside for name in {as_read(name) for name in one})
    are_words = all(any(char.isalpha() for char in name) and not re.search(r"\d", name) for name in counts)
    are_parts = all(name in IMAGE_FOLDERS or is_mask_folder(name) for name in counts)
    if len(counts) < 2 or not are_words or are_parts or all(map(split_word, counts)):
        return None
    if 2 * sum(n > 1 for n in counts.values()) < len(counts):
        return None
    return field, sorted({name for one in inside for name in one})
