"""classes.txt: the one file in which people edit what their classes are called in prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..files.regular import regular_text

CLASSES_FILE = "classes.txt"
CLASSES_HEADER = "# clipft classes: folder = readable name. Edit the right-hand side; prompts use it."


@dataclass(frozen=True)
class ClassInfo:
    """One class: `name` is its folder, `readable` the words that go into prompts."""

    name: str
    readable: str


def classes_text(classes: Iterable[ClassInfo]) -> str:
    """What classes.txt holds: one `folder = readable name` a line."""
    return "\n".join([CLASSES_HEADER, *(f"{info.name} = {info.readable}" for info in classes)]) + "\n"


def read_class_names(path: Path, classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
    """`classes` with the readable names of classes.txt, in their own order.

    Raises DataError naming the line for a class that is unknown, missing, given twice or without a name.
    """
    if not path.exists():
        return classes
    names = {info.name for info in classes}
    readable: dict[str, str] = {}
    for number, line in enumerate(_read(path), start=1):
        folder, words = _split_line(line, names)
        if folder is None:
            if not line.strip() or line.startswith("#"):
                continue
            raise _bad_line(path, number, f"no class of this data set: '{line.strip()[:80]}'")
        if not words or folder in readable:
            what = "given twice" if folder in readable else "has no readable name"
            raise _bad_line(path, number, f"class '{folder}' {what}")
        readable[folder] = words
    missing = [info.name for info in classes if info.name not in readable]
    if missing:
        raise _bad_line(path, number + 1, f"no line for class '{missing[0]}' ({len(missing)} missing)")
    return tuple(ClassInfo(info.name, readable[info.name]) for info in classes)


def edited_names(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The readable names that a classes.txt of clipft's gives; classes it does not name are not in the result.

    Raises DataError for a line that belongs to none of `names`: an edit is never lost in silence.
    """
    known = set(names)
    if not path.exists():
        return {}
    readable = {}
    for number, line in enumerate(_read(path), start=1):
        folder, words = _split_line(line, known)
        if folder is not None and words:
            readable[folder] = words
        elif folder is None and line.strip() and not line.startswith("#"):
            raise _bad_line(path, number, f"no class of this data set: '{line.strip()[:80]}'")
    return readable


def _split_line(line: str, names: set[str]) -> tuple[str | None, str]:
    """The class and its readable name; a folder name may hold '=' itself, so every '=' is tried."""
    if line.strip() in names:
        return line.strip(), ""
    for found in re.finditer("=", line):
        if line[: found.start()].strip() in names:
            return line[: found.start()].strip(), line[found.end() :].strip()
    return None, ""


def _bad_line(path: Path, number: int, what: str) -> DataError:
    return DataError(
        f"{path}:{number}: {what}",
        hint=f"every class needs one line `folder = readable name`; without {path.name} the names of"
        f" dataset.json are used",
    )


def _read(path: Path) -> list[str]:
    try:
        return regular_text(path, "utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"{path}: cannot be read: {reason}", hint="restore the file, or delete it") from None
