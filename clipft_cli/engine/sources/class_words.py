"""Names for classes that are numbers or WordNet's, from a file beside the images: `words.txt`, `{"0": "blight"}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ClipftError
from ..files.pictures import image_suffixes
from ..files.regular import regular_bytes
from ..files.visible import shown
from ..labels.alike import is_code, is_number
from ..labels.names import class_name
from ..tables.encodings import readings
from ..tables.read import read_table
from .listing import Listing

_WORDNET_ID = re.compile(r"n\d{8}")
_LINE = re.compile(r"(\S+?)[\s,;:=|]+(\S.*)")
_OF_NAMES = re.compile(r"class|label|name|categor", re.IGNORECASE)
_MOST_FILES, _MOST_BYTES = 200, 4 << 20


def name_classes(listing: Listing, folder: Path) -> None:
    """Give `listing` the words of its classes, where all are codes and one file in `folder` has a name for each.

    Files that name them differently are a warning, and none is taken.
    """
    labels = listing.labels()
    if len(labels) < 2 or not all(map(is_code, labels)):
        return
    found = {path.name: words for path in _files(folder) if (words := _words_of(path, labels))}
    distinct = [words for i, words in enumerate(found.values()) if words not in list(found.values())[:i]]
    if len(distinct) > 1:
        files = ", ".join(shown(name, 40) for name in found)
        listing.warnings.append(f"{files} name the classes differently: none is taken, edit classes.txt")
    elif distinct:
        listing.class_words = distinct[0]
        first = labels[0]
        listing.notes.append(
            f"the names of classes are those of {shown(next(iter(found)), 60)}:"
            f" {shown(first, 40)} is {shown(distinct[0][first], 40)}, ..."
        )


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _READERS and path.is_file())
        return [path for path in files if path.stat().st_size <= _MOST_BYTES] if len(files) <= _MOST_FILES else []
    except OSError:
        return []


def _words_of(path: Path, labels: Sequence[str]) -> dict[str, str] | None:
    """A name for each label, all different; None where the file has not one for each.

    Numbers have to be those of the classes and no others, or the numbers of images would do; WordNet's are its own.
    """
    wanted = {_key(label) for label in labels}
    are_wordnets = all(map(_WORDNET_ID.fullmatch, labels))
    try:
        for pairs in _READERS[path.suffix.lower()](path):
            names = {_key(code): class_name(words) for code, words in pairs.items() if words.strip()}
            if wanted != names.keys() and not (are_wordnets and wanted < names.keys()):
                continue
            words = {label: names[_key(label)] for label in labels}
            if are_wordnets:  # `tench, Tinca tinca`: the first of its synonyms, where that tells it from others
                first = {label: text.partition(",")[0].strip() for label, text in words.items()}
                words = first if len(set(first.values())) == len(first) else words
            if len(set(words.values())) == len(words) and not any(map(_says_nothing, words.values())):
                return words
    except (ClipftError, OSError, ValueError, RecursionError):
        return None
    return None


def _says_nothing(words: str) -> bool:
    return is_code(words) or Path(words).suffix.lower() in image_suffixes()


def _key(code: str) -> str:
    """`01` and `1.0` are the number 1."""
    return f"{float(code):g}" if is_number(code) and "," not in code else code


def _in_json(path: Path) -> Iterator[Mapping[str, str]]:
    content: Any = json.loads(regular_bytes(path))
    if isinstance(content, list) and all(isinstance(one, str) for one in content):
        yield {str(n): one for n, one in enumerate(content)}
    if not isinstance(content, dict):
        return
    if all(isinstance(value, str) for value in content.values()):
        yield content
    if all(isinstance(value, int) for value in content.values()):  # a name -> its number, as Keras writes them
        yield {str(number): name for name, number in content.items()}
    pairs = [value for value in content.values() if isinstance(value, list) and len(value) == 2]
    if len(pairs) == len(content) and all(isinstance(text, str) for pair in pairs for text in pair):
        yield {key: pair[1] for key, pair in content.items()}  # imagenet_class_index.json
        yield {pair[0]: pair[1] for pair in pairs}


def _in_lines(path: Path) -> Iterator[Mapping[str, str]]:
    """Lines of a code and a name, else of a name each, counted from 0."""
    found = readings(regular_bytes(path))
    lines = [line.strip() for line in found[0].text.splitlines() if line.strip()] if len(found) == 1 else []
    matches = [_LINE.fullmatch(line) for line in lines]
    if lines and all(matches):
        yield {match[1]: match[2] for match in matches if match}
    if _OF_NAMES.search(path.name):
        yield {str(n): line for n, line in enumerate(lines)}


def _in_table(path: Path) -> Iterator[Mapping[str, str]]:
    """Each column of codes that are all different, with each column of words."""
    table = read_table(path, None, lambda cells: False)
    columns = {name: [str(cell) for cell in table.column(name)] for name in table.names[:8]}
    codes = {
        name: cells for name, cells in columns.items() if len(set(cells)) == len(cells) and all(map(is_code, cells))
    }
    for code, cells in codes.items():
        for words, names in columns.items():
            if words != code:
                yield dict(zip(cells, names, strict=True))


_READERS = {".json": _in_json, ".txt": _in_lines, ".names": _in_lines, ".csv": _in_table, ".tsv": _in_table}
