"""Splits and classes in one name: the folders `train_cat` and `test_cat`, the files `cat/train_1.jpg`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from .class_folders import Layout, class_layout, named
from .shape import Folder
from .split_words import exact_split

_SEPARATORS = ("_", "-", " ", ".")
_FITS = 0.9
"""Share of the names of files that must begin with the word of a split."""


def split_and_class_in_one(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The readings of folders of images that are all called by a split and a class; none where they are not.

    One reading where the splits have the same classes; else the folders may be classes themselves.
    """
    if len(kids) < 4 or any(not kid.images for kid in kids):
        return []
    for separator in _SEPARATORS:
        for is_first in (True, False):
            found = [_parted(kid.name, separator, is_first) for kid in kids]
            classes: dict[str, set[str]] = defaultdict(set)
            for word, label in found:
                classes[word].add(label.casefold())
            splits = {split for word in classes if (split := exact_split(word))}
            if len(splits) < 2 or not all(map(exact_split, classes)):
                continue
            field = f"{{split:{'|'.join(sorted(map(re.escape, classes)))}}}"
            mark = re.escape(separator) if separator in "{}*?" else separator
            template = f"{field}{mark}{{class}}" if is_first else f"{{class}}{mark}{field}"
            words = f"{named(classes)} are splits, classes are {named(label for _, label in found)}"
            joined = Layout(f"{prefix}{template}/**", words)
            are_alike = len({frozenset(labels) for labels in classes.values()}) == 1
            return [joined] if are_alike and len(found) > len(classes) else [joined, class_layout(prefix, kids)]
    return []


def splits_in_file_names(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The two readings of class folders whose files are called train and test."""
    names = [name for kid in kids for name in kid.images]
    if len(kids) < 2 or not names:
        return []
    stems = [name.rpartition(".")[0] or name for name in names]
    for separator in _SEPARATORS:
        for is_first in (True, False):
            words = [_parted(stem, separator, is_first)[0] for stem in stems]
            said = {word for word in set(words) if exact_split(word)}
            if sum(word in said for word in words) < _FITS * len(words) or len(set(map(exact_split, said))) < 2:
                continue
            field = f"{{split:{'|'.join(sorted(map(re.escape, said)))}}}"
            name = f"{field}{separator}*" if is_first else f"*{separator}{field}.*"
            where = "begin" if is_first else "end"
            told = f"classes are {named(kid.name for kid in kids)}, the names of files {where} with the split"
            return [Layout(f"{prefix}{{class}}/{name}", told), class_layout(prefix, kids)]
    return []


def _parted(name: str, separator: str, is_first: bool) -> tuple[str, str]:
    """The word of a split and the class in a name, the split first or last; the class is empty where there is none."""
    if is_first:
        word, _, label = name.partition(separator)
    else:
        label, _, word = name.rpartition(separator)
    return (word, label) if label else ("", "")
