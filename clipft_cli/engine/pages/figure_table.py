"""The figures behind a plot, as a table: for those who cannot see a plot, and for copying."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """`rows` of cells below `headings`; the first cell of a row is its name."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
