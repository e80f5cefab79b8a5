"""Classes in the names of files: `cat.12.jpg`, `great_pyrenees_3.jpg`, `cat (7).jpg`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .template import literal

_SEPARATORS = (" (", "_", "-", ".", " ", "")
_FITS = 0.9
"""Share of the names that must be made of a class and a number."""


def class_in_names(names: Sequence[str]) -> str | None:
    """The template of file names that begin with a class that comes back; None where they do not."""
    stems = [name.rpartition(".")[0] for name in names]
    for separator in _SEPARATORS:
        lead = r"(\D+)" if not separator else "(.+)"
        pattern = re.compile(lead + re.escape(separator) + r"\d+\)?")
        classes = Counter(found[1] for stem in stems if (found := pattern.fullmatch(stem)))
        is_likely = 2 <= len(classes) <= len(names) // 2 and classes.total() >= _FITS * len(names)
        if is_likely:
            end = ")" if separator == " (" else ""
            field = "{class}" if separator else r"{class:\D+}"
            return field + literal(separator) + r"{:\d+}" + end + ".*"
    return None
