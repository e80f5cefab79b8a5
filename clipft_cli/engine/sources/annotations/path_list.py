"""Lists of lines `path label`, as Caffe and many papers give out their splits; names of numbers from a file beside."""

from __future__ import annotations

import re
from pathlib import Path

from ...files.pictures import image_suffixes
from ...files.regular import regular_text
from ...files.visible import shown
from ...tables.read import read_text
from ...tables.table import Table
from .format import Format, images_with_classes

_LINE = re.compile(r"(?P<path>\S.*?\.\w{2,5}|\S+)\s*[\s,;]\s*(?P<label>\S.*)")
_NAME_FILES = (
    "classes.txt",
    "class_names.txt",
    "classnames.txt",
    "labels.txt",
    "names.txt",
    "synset_words.txt",
    "synsets.txt",
)
_SUFFIXES = frozenset({".txt", ".lst", ".list"})
_N_PROBED = 50


def _evidence(path: Path) -> str:
    if path.suffix.lower() not in _SUFFIXES:
        return ""
    try:
        lines = [line for line in regular_text(path, "latin-1").split("\n") if line.strip()][:_N_PROBED]
    except (OSError, ValueError):
        return ""
    found = [_LINE.fullmatch(line.strip()) for line in lines]
    name_images = [match and Path(match["path"]).suffix.lower() in image_suffixes() for match in found]
    return f"the lines of {path.name} are paths of images with a class" if lines and all(name_images) else ""


def _table(path: Path, encoding: str | None) -> Table:
    text, note = read_text(path, encoding)
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    found = [(n, _LINE.fullmatch(line), line) for n, line in lines]
    rows = [
        (f"line {n}", match["path"] if match else line, match["label"] if match else None) for n, match, line in found
    ]
    labels = {label for _, _, label in rows if label}
    if all(re.fullmatch(r"\d{1,6}", label) for label in labels):
        for name in _NAME_FILES:
            names = _names(path.with_name(name)) if path.name != name else []
            if labels and len(names) > max(map(int, labels)):
                rows = [(place, image, label and names[int(label)]) for place, image, label in rows]
                return images_with_classes(rows, [note, f"the numbers of classes are lines of {name}, counted from 0"])
    return images_with_classes(rows, [note])


def _names(path: Path) -> list[str]:
    """The names in a file beside, one a line; a number in front counts them and is no part of a name."""
    try:
        lines = [line.strip() for line in regular_text(path).split("\n") if line.strip()]
    except (OSError, ValueError):
        return []
    counted = [re.fullmatch(rf"{n}[\s:,]+(.+)", line) for n, line in enumerate(lines)]
    return [shown(match[1], 1000) for match in counted if match] if lines and all(counted) else lines


PATH_LIST = Format("path-list", "lists of `path label`", _evidence, _table)
