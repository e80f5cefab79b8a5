"""classes.txt: the one file in which people edit what their classes are called in prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..files.regular import regular_text

CLASSES_FILE = "classes.txt"
CLASSES_HEADER = "# clipft classes: class = readable name. Edit the right-hand side; prompts use it."


@dataclass(frozen=True)
class ClassInfo:
    """One class: `name` is its label as it came, `readable` the words that go into prompts."""

    name: str
    readable: str


def classes_text(classes: Iterable[ClassInfo]) -> str:
    """What classes.txt holds: one `class = readable name` a line, in JSON's quotes where a plain name would mislead."""
    lines = (f"{_quoted(info.name)} = {_quoted(info.readable)}" for info in classes)
    return "\n".join([CLASSES_HEADER, *lines]) + "\n"


def _quoted(text: str) -> str:
    is_plain = text == text.strip() and text.isprintable() and "=" not in text and not text.startswith(("#", '"'))
    return text if is_plain else json.dumps(text)


def read_class_names(path: Path, classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
    """`classes` with the readable names of classes.txt, in their own order.

    Raises DataError naming the line for a class that is unknown, missing, given twice or without a name.
    """
    if not path.exists():
        return classes
    readable: dict[str, str] = {}
    for number, name, words in _lines(path, {info.name for info in classes}):
        if not words or name in readable:
            what = "given twice" if name in readable else "has no readable name"
            raise _bad_line(path, number, f"class '{name}' {what}")
        readable[name] = words
    missing = [info.name for info in classes if info.name not in readable]
    if missing:
        raise _bad_line(path, len(_read(path)) + 1, f"no line for class '{missing[0]}' ({len(missing)} missing)")
    return tuple(ClassInfo(info.name, readable[info.name]) for info in classes)


def edited_names(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The readable names that a classes.txt of clipft's gives; classes it does not name are not in the result.

    Raises DataError for a line that belongs to none of `names`: an edit is never lost in silence.
    """
    if not path.exists():
        return {}
    return {name: words for _, name, words in _lines(path, set(names)) if words}


def listed_names(path: Path) -> list[str]:
    """The classes a classes.txt of clipft's names, where nothing else says which there are."""
    if not path.exists():
        return []
    lines = [line for line in _read(path) if line.strip() and not line.startswith("#")]
    return [_unquoted_start(line)[0] or line.partition(" = ")[0].strip() for line in lines]


def _lines(path: Path, names: set[str]) -> Iterator[tuple[int, str, str]]:
    """(number from 1, class, its readable name) of each line. Raises DataError for one that names no class."""
    for number, line in enumerate(_read(path), start=1):
        name, words = _split_line(line, names)
        if name is not None:
            yield number, name, words
        elif line.strip() and not line.startswith("#"):
            raise _bad_line(path, number, f"no class of this data set: '{line.strip()[:80]}'")


def _split_line(line: str, names: set[str]) -> tuple[str | None, str]:
    """The class and its readable name. A name in quotes is JSON; a plain one, as earlier versions wrote every name,
    may hold '=' and blanks itself, so every '=' is tried, from the last."""
    name, rest = _unquoted_start(line)
    if name in names and (not rest.strip() or rest.lstrip().startswith("=")):
        return name, _words(rest.strip().removeprefix("="))
    for found in re.finditer("=", line[::-1]):
        start = len(line) - found.end()
        for name in (line[:start].strip(" \r"), line[:start].strip()):
            if name in names:
                return name, _words(line[start + 1 :])
    return (line.strip(), "") if line.strip() in names else (None, "")


def _unquoted_start(line: str) -> tuple[str | None, str]:
    """The JSON string a line starts with, and what follows; None where it starts with none."""
    if not line.startswith('"'):
        return None, ""
    try:
        name, end = json.JSONDecoder().raw_decode(line)
    except ValueError:
        return None, ""
    return name, line[end:]


def _words(text: str) -> str:
    """The right-hand side of a line, out of its quotes where it has some."""
    words, rest = _unquoted_start(text.strip())
    return words if words is not None and not rest else text.strip()


def _bad_line(path: Path, number: int, what: str) -> DataError:
    return DataError(
        f"{path}:{number}: {what}",
        hint=f"every class needs one line `class = readable name`; without {path.name} the names of"
        f" dataset.json are used",
    )


def _read(path: Path) -> list[str]:
    try:
        return regular_text(path, "utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"{path}: cannot be read: {reason}", hint="restore the file, or delete it") from None
