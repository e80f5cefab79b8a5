"""Classes in the names of files: `cat.12.jpg`, `great_pyrenees_3.jpg`, `cat (7).jpg`, `0012_cat.png`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .template import literal

_SEPARATORS = (" (", "_", "-", ".", " ", "")
_FITS = 0.9
"""Share of the names that must be made of a class and a number."""


@dataclass(frozen=True)
class NamePattern:
    """The template of the names of files that have a class in them, and where it stands: `begin with classes`."""

    template: str
    words: str


def class_in_names(names: Sequence[str]) -> NamePattern | None:
    """The pattern of file names that are made of a number and of a class that comes back; None where they are not."""
    stems = [name.rpartition(".")[0] for name in names]
    for separator in _SEPARATORS:
        lead = r"(\D+)" if not separator else "(.+)"
        if _are_likely(stems, lead + re.escape(separator) + r"\d+\)?"):
            end = ")" if separator == " (" else ""
            field = "{class}" if separator else r"{class:\D+}"
            return NamePattern(field + literal(separator) + r"{:\d+}" + end + ".*", "begin with classes")
    for separator in filter(str.strip, _SEPARATORS[1:-1]):
        if _are_likely(stems, r"(?:\D*\d+)" + re.escape(separator) + r"(\D+)"):
            return NamePattern(rf"{{:\D*\d+}}{literal(separator)}{{class:\D+}}.*", "end with classes")
    return None


def _are_likely(stems: Sequence[str], pattern: str) -> bool:
    """Whether nearly all names fit, and the classes in them come back."""
    fits = re.compile(pattern)
    classes = Counter(found[1] for stem in stems if (found := fits.fullmatch(stem)))
    return 2 <= len(classes) <= len(stems) // 2 and classes.total() >= _FITS * len(stems)
