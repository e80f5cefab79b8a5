"""Names: of classes, made readable for prompts and safe as folders; of files, safe to show and to write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

MAX_NAME_BYTES = 120

_WORDNET_ID = re.compile(r"^n\d{8}[-_ ]+")
_NUMBERED = re.compile(r"^\d{1,4}[._-]+(?=\D)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_FOLDERS = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


def readable_name(folder: str) -> str:
    """The words a prompt uses for a class folder.

    `n02099601-golden_retriever` becomes "golden retriever", `AnnualCrop` "annual crop",
    `001.Black_footed_Albatross` "black footed albatross". Acronyms and other scripts stay as they are.
    """
    name = unicodedata.normalize("NFC", folder)
    name = _WORDNET_ID.sub("", name)
    name = _NUMBERED.sub("", name)
    words = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", _CAMEL.sub(" ", name)).split()
    kept = [word if _is_acronym(word) and len(words) < 4 else word.lower() for word in words]
    return " ".join(kept) or folder.strip() or "unnamed"


def _is_acronym(word: str) -> bool:
    return 2 <= len(word) <= 5 and word.isupper() and word.isascii() and word.isalpha()


def readable_names(folders: Sequence[str]) -> list[str]:
    """`readable_name` of each folder; those that would read alike keep what tells them apart."""
    names = [readable_name(folder) for folder in folders]
    counts = {name: names.count(name) for name in names}
    told_apart = [_whole(folder) if counts[name] > 1 else name for name, folder in zip(names, folders, strict=True)]
    return unique_names(told_apart)


def _whole(folder: str) -> str:
    return " ".join(re.sub(r"[_\s]+", " ", folder).split()) or "unnamed"


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in order; one that repeats (letter case aside) gets a number."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, n = name, 2
        while candidate.casefold() in taken:
            candidate, n = f"{name} ({n})", n + 1
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


def class_name(label: str) -> str:
    """A label as the name of one folder: NFC, no separators or control characters, of moderate length."""
    name = _NOT_IN_FOLDERS.sub("_", unicodedata.normalize("NFC", label)).strip(" ")
    if name.startswith("."):
        name = "_" + name[1:]
    return shortened(name) or "_"


def shortened(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """`name` cut to `limit` bytes of UTF-8, between characters."""
    return name.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").rstrip(" ")


def storable(text: str) -> str:
    """`text` as it can be written in UTF-8: bytes of a file name that are no text become question marks."""
    return text.encode("utf-8", "replace").decode()


def copied_name(name: str, taken: set[str]) -> str:
    """The name a copy of file `name` gets in a folder that holds `taken` (casefolded); adds to `taken`.

    The name is kept where it can be; a number is put before the suffix of one that is taken.
    """
    path = PurePosixPath(_NOT_IN_FOLDERS.sub("_", name))
    suffix = shortened(path.suffix, 16)
    stem = shortened(path.stem, 200) or "image"
    if stem.startswith("."):
        stem = "_" + stem[1:]
    candidate, n = f"{stem}{suffix}", 2
    while candidate.casefold() in taken:
        candidate, n = f"{stem}-{n}{suffix}", n + 1
    taken.add(candidate.casefold())
    return candidate


def class_order(names: Iterable[str]) -> list[str]:
    """Class names in the order of the labels: sorted, and by value where all are numbers."""
    names = sorted(set(names))
    if names and all(re.fullmatch(r"\d{1,18}", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return names
