"""Names of folders and files made of labels and of other files' names: safe on every system, never twice."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

MAX_NAME_BYTES = 120

_NOT_IN_FOLDERS = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def folder_name(text: str) -> str:
    """`text` as the name of one folder: no separators, control characters or leading dot, at most 120 bytes."""
    name = _NOT_IN_FOLDERS.sub("_", unicodedata.normalize("NFC", text)).strip(" ")
    if name.startswith("."):
        name = "_" + name[1:]
    if _WINDOWS_DEVICE.fullmatch(name):
        name = "_" + name
    return shortened(name.rstrip(" .")) or "_"


def folder_names(names: Sequence[str], is_ignored: Callable[[str], bool] = lambda name: False) -> list[str]:
    """One folder for each class name, all different even where letter case does not count.

    A name that can be a folder is one. Of others that would meet, and of cut ones, the folder ends in the first
    digits of the name's sha256. `is_ignored` tells names that a listing of folders passes over: none is given.
    """
    wishes = [folder_name(f"_{name}" if is_ignored(name) else name) for name in names]
    counts = Counter(wish.casefold() for wish in wishes)
    first: dict[str, int] = {}
    for i in sorted(range(len(names)), key=lambda i: wishes[i] != names[i]):
        first.setdefault(wishes[i].casefold(), i)
    taken = {wishes[i].casefold() for i in first.values()}
    result = []
    for i, (name, wish) in enumerate(zip(names, wishes, strict=True)):
        is_own = first[wish.casefold()] == i and (wish == name or counts[wish.casefold()] == 1)
        if is_own and len(wish.encode()) < MAX_NAME_BYTES:
            result.append(wish)
            continue
        digest = hashlib.sha256(name.encode()).hexdigest()
        length = 6
        while (candidate := f"{shortened(wish, MAX_NAME_BYTES - 20)}-{digest[:length]}").casefold() in taken:
            length += 1
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


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
