"""Which class of a model each class of a data set is: by name, never by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from ..files.visible import visible
from ..labels.alike import alike, difference
from ..labels.class_names import ClassInfo
from ..labels.names import earlier_name
from ..manifest import Manifest
from .subject import Subject

N_NAMED = 8


@dataclass(frozen=True)
class ClassMatch:
    """`index` (C,) int64: the model's index of each class of the data set, -1 for one the model does not know."""

    index: np.ndarray
    unknown: tuple[str, ...]
    notes: tuple[str, ...] = ()


def match_classes(manifest: Manifest, classes: Sequence[ClassInfo], subject: Subject) -> ClassMatch:
    """The classes of the data set among those of the model.

    Names that read alike (letter case, blanks) and are one on both sides meet, and a note says so.
    Raises DataError where the model knows none of them.
    """
    index = {info.name: number for number, info in enumerate(classes)}
    names = [info.name for info in manifest.classes]
    if set(names) != set(index):
        index, names = _under_earlier_names(index, names)
    found, notes = dict(index), []
    for group in alike({*names, *index}):
        ours, theirs = [n for n in group if n not in index], [n for n in group if n in index]
        if len(ours) == len(theirs) == 1 and theirs[0] not in names:
            found[ours[0]] = index[theirs[0]]
            notes.append(f"'{visible(ours[0])}' is taken for the model's '{visible(theirs[0])}': {difference(group)}")
    unknown = tuple(name for name in names if name not in found)
    if len(unknown) == len(names):
        raise DataError(
            f"{manifest.root}: none of its {len(names)} classes is one of the {len(index)} of {subject.checkpoint}"
            f" (only in the data set: {listed(unknown)}; only in the checkpoint: {listed(index)})",
            hint="classes are matched by name: give the folders the names of the model's classes, or train on this set",
        )
    return ClassMatch(np.array([found.get(name, -1) for name in names], dtype=np.int64), unknown, tuple(notes))


def _under_earlier_names(index: dict[str, int], names: list[str]) -> tuple[dict[str, int], list[str]]:
    """Both sides as an earlier version named them, where that makes them meet and keeps every class apart."""
    old_index = {earlier_name(name): number for name, number in index.items()}
    old_names = [earlier_name(name) for name in names]
    if set(old_names) == set(old_index) and len(old_index) == len(index) and len(set(old_names)) == len(names):
        return old_index, old_names
    return index, names


def listed(names: Sequence[str] | dict[str, int]) -> str:
    """The first few names, and how many more there are."""
    first = list(names)[:N_NAMED]
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(visible(name) for name in first) + more
