"""A table of any format: named columns, and rows that say where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

N_SAMPLED = 200
"""Rows that are looked at to find out what a column holds."""


@dataclass(frozen=True)
class Row:
    """`cells` in the order that was asked for. `place` is "line 7" of a text, "row 7" elsewhere, from 1."""

    place: str
    cells: tuple[Any, ...]


@dataclass
class Table:
    """`read` gives the cells of the columns asked for, row by row, as often as it is called.

    `problems` are (place, reason) of what is no row; `notes` are sentences for the screen. `class_names` are those
    that a file's own description gives for the numbers of a column. `has_header`: False where the first line is a
    row, so that the columns are called by their numbers.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Row]]
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    class_names: dict[str, list[str]] = field(default_factory=dict)
    has_header: bool = True

    def column(self, name: str) -> Iterator[Any]:
        """The cells of one column."""
        return (row.cells[0] for row in self.read((name,)))

    def sample(self, name: str) -> list[Any]:
        """The first cells of one column that are not empty."""
        return list(islice((cell for cell in self.column(name) if cell is not None and cell != ""), N_SAMPLED))

    def first(self, name: str) -> Any:
        """The first cell of a column that is not empty; None where there is none."""
        return next(iter(self.sample(name)), None)


def of_rows(names: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]], **more: Any) -> Table:
    """A table whose rows, (place, all cells in the order of `names`), are in memory."""
    place_of = {name: i for i, name in enumerate(names)}

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        places = [place_of[name] for name in wanted]
        for place, cells in rows:
            yield Row(place, tuple(cells[i] for i in places))

    return Table(tuple(names), read, **more)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, each once: one without a name is "column 3", a second `label` is "label (2)"."""
    taken: dict[str, int] = {}
    found = []
    for i, text in enumerate(names, start=1):
        name = text.strip() or f"column {i}"
        taken[name] = taken.get(name, 0) + 1
        found.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    return tuple(found)
