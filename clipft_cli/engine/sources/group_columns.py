"""Which columns of a table seem to say that images belong together: by their name, or by cells that name one thing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from .column_words import GROUP, is_called

_OF_ONE_THING = re.compile(r"(?=.*[^\W\d_])[^\W\d_]{0,12}[ _.-]?\d{1,12}|[0-9a-f]{8,64}|[0-9a-f-]{36}", re.IGNORECASE)
"""`P003`, `case-17`, a digest: the name of one patient, clip or product. A bare number may be an age."""
_FEWEST = 5
_SHARE = 0.8
_ROWS_EACH = 2


def group_columns(columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Columns, given as texts of their cells, whose rows of one value may show one thing; each with its values.

    One that is called like a group, and has fewer values than rows; else one of values such as `P003`, most of which
    come back.
    """
    called = {name: len(set(cells)) for name, cells in columns.items() if is_called(name, GROUP)}
    named = {name: n for name, n in called.items() if 1 < n < len(columns[name])}
    return named or {name: len(set(cells)) for name, cells in columns.items() if _name_one_thing(cells)}


def _name_one_thing(cells: Sequence[str]) -> bool:
    counts = Counter(cell for cell in cells if cell)
    shared = sum(n for n in counts.values() if n > 1)
    return (
        len(counts) >= _FEWEST
        and len(cells) >= _ROWS_EACH * len(counts)
        and shared >= _SHARE * len(cells)
        and all(map(_OF_ONE_THING.fullmatch, counts))
    )
