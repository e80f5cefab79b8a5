"""A data set prepared again: its folders stand for the classes they were made for."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

from ..labels.class_names import CLASSES_FILE, listed_names
from ..labels.folder_names import folder_names
from ..labels.names import class_name
from ..sources.listing import Listing
from ..sources.tree import is_ignored
from .target import Target


def with_known_labels(listing: Listing, target: Target) -> None:
    """Give the images of `listing` the classes they had, where a folder's name is not the label it was made of.

    What the last preparation knows of a folder's images holds for new ones beside them too. Labels of a table
    are as the table says.
    """
    if not target.is_again or not target.kind.is_folder:
        return
    label_of = _by_files(listing, target) if target.previous is not None else _by_folders(target.root)
    listing.items = [dataclasses.replace(i, label=label_of.get(i.label, i.label)) for i in listing.items]
    listing.problems = [dataclasses.replace(p, label=label_of.get(p.label, p.label)) for p in listing.problems]


def _by_files(listing: Listing, target: Target) -> dict[str, str]:
    """The class each listed label had, of those whose known images all had one."""
    assert target.previous is not None
    classes = target.previous.classes
    known = {(target.root / row.path).as_posix(): classes[row.label].name for row in target.previous.rows}
    had: dict[str, set[str]] = defaultdict(set)
    for item in listing.items:
        name = known.get(item.file.as_posix()) or known.get(item.file.absolute().as_posix())
        if name is not None:
            had[item.label].add(name)
    return {label: next(iter(names)) for label, names in had.items() if len(names) == 1}


def _by_folders(root: Path) -> dict[str, str]:
    """The class each folder was made for, of those that classes.txt names."""
    names = listed_names(root / CLASSES_FILE)
    return {class_name(folder): name for folder, name in zip(folder_names(names, is_ignored), names, strict=True)}
