"""What a class is called: its label as it came, and the order of classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..files.visible import unambiguous

_NOT_IN_EARLIER_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


def class_name(label: str) -> str:
    r"""The identity of a class: its label as it came, in Unicode's composed form (NFC).

    What cannot be seen or is no text is written out (an undecodable byte as `\xff`), so that the name can be
    shown and stored everywhere. Labels that differ stay different; folders and prompts derive their own words.
    """
    return unambiguous(unicodedata.normalize("NFC", label)) or "_"


def earlier_name(name: str) -> str:
    """What versions up to 1.0 called the class `name`: the name of its folder. Two classes could share one."""
    cleaned = _NOT_IN_EARLIER_NAMES.sub("_", name).strip(" ")
    if cleaned.startswith("."):
        cleaned = "_" + cleaned[1:]
    return cleaned.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").rstrip(" ") or "_"


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in order; one that repeats (letter case aside) gets a number."""
    names = list(names)
    taken: set[str] = set()
    own = {name.casefold() for name in names}
    result = []
    for name in names:
        candidate, n = name, 2
        while candidate.casefold() in taken or (candidate != name and candidate.casefold() in own):
            candidate, n = f"{name} ({n})", n + 1
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


def class_order(names: Iterable[str]) -> list[str]:
    """Class names in the order of the labels: sorted, and by value where all are numbers."""
    names = sorted(set(names))
    if names and all(re.fullmatch(r"\d{1,18}", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return names
