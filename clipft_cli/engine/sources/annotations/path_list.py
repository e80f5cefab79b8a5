"""Lists of lines `path label`, as Caffe and many papers give out their splits; names of numbers from a file beside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...files.pictures import image_suffixes
from ...files.regular import regular_text
from ...files.visible import shown
from ...tables.delimited import read_delimited
from ...tables.read import read_text
from ...tables.table import Table, of_rows
from ..column_words import IMAGE, LABEL, is_called
from .format import Format, Row, images_with_classes

_LINE = re.compile(r"(?P<path>\S.*?\.\w{2,5}|\S+)\s*[\s,;]\s*(?P<label>\S.*)")
_LABEL_FIRST = re.compile(r"(?P<label>.*\S)\s*[\s,;]\s*(?P<path>\S+\.\w{2,5})")
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
    if lines and _form(lines):
        return f"the lines of {path.name} are paths of images with a class"
    if _attribute_names(lines):
        return f"{path.name} has the number of its images, names of columns, and a line for each image, as CelebA"
    # a comment that says what the columns are is no line of the table: its first row would be taken for the header
    is_table = bool(lines) and not lines[0].lstrip().startswith("#") and _is_header(lines[0])
    return f"the first line of {path.name} names columns of images and classes" if is_table else ""


def _is_header(line: str) -> bool:
    cells = re.split(r"[,;\t|]|\s+", line.strip())
    return any(is_called(cell, IMAGE) for cell in cells) and any(is_called(cell, LABEL) for cell in cells)


def _attribute_names(lines: Sequence[str]) -> list[str]:
    """The names of the columns behind that of the image, where lines are as CelebA's; else empty.

    The first line is the number of images, the second the names, and each other an image and a cell for each name.
    """
    if len(lines) < 3 or not lines[0].strip().isdigit():
        return []
    names, rows = lines[1].split(), [line.split() for line in lines[2:]]
    are_images = all(Path(row[0]).suffix.lower() in image_suffixes() for row in rows)
    return names if names and are_images and all(len(row) == len(names) + 1 for row in rows) else []


def _form(lines: Sequence[str]) -> re.Pattern[str] | None:
    """Whether the path or the class comes first in every line; None where no line is of these."""
    for form in (_LINE, _LABEL_FIRST):
        found = [form.fullmatch(line.strip()) for line in lines]
        if all(match and Path(match["path"]).suffix.lower() in image_suffixes() for match in found):
            return form
    return None


def _table(path: Path, encoding: str | None) -> Table:
    text, note = read_text(path, encoding)
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    form = _form([line for _, line in lines[:_N_PROBED]])
    if form is None and (names := _attribute_names([line for _, line in lines])):
        return of_rows(
            ("image", *names), [(f"line {n}", line.split()) for n, line in lines[2:]], notes=[note] if note else []
        )
    if form is None:
        table = read_delimited(str(path), text, lambda cells: False)
        table.notes += [note] if note else []
        return table
    found = [(n, form.fullmatch(line), line) for n, line in lines]
    rows = [
        (f"line {n}", match["path"] if match else line, match["label"] if match else None) for n, match, line in found
    ]
    return images_with_classes(*_with_names(path, rows, [note]))


def _with_names(path: Path, rows: list[Row], notes: list[str]) -> tuple[list[Row], list[str]]:
    """The rows with names for numbers, where a file beside has one for each."""
    labels = {str(label) for _, _, label in rows if label}
    if not labels or not all(re.fullmatch(r"\d{1,6}", label) for label in labels):
        return rows, notes
    for name in _NAME_FILES:
        names = _names(path.with_name(name)) if path.name != name else []
        if len(names) > max(map(int, labels)):
            named: list[Row] = [(place, image, label and names[int(str(label))]) for place, image, label in rows]
            return named, [*notes, f"the numbers of classes are lines of {name}, counted from 0"]
    return rows, notes


def _names(path: Path) -> list[str]:
    """The names in a file beside, one a line; a number in front counts them and is no part of a name."""
    try:
        lines = [line.strip() for line in regular_text(path).split("\n") if line.strip()]
    except (OSError, ValueError):
        return []
    counted = [re.fullmatch(rf"{n}[\s:,]+(.+)", line) for n, line in enumerate(lines)]
    return [shown(match[1], 1000) for match in counted if match] if lines and all(counted) else lines


PATH_LIST = Format("path-list", "lists of `path label`", _evidence, _table)
