"""CSV and its kin as people's programs write them: any delimiter, with a header or without, quotes that do not close.

A row is never lost in silence: one that does not fit the header, or has swallowed others, is an error with its line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from ...errors import DataError
from ..files.visible import shown
from .table import Table, distinct, of_rows

DELIMITERS = ",;\t|"
MAX_CELL = 1 << 20
_N_PROBED = 100
_N_NAMED = 3
_MAX_ABOVE = 8
_FILE = re.compile(r".*\.\w{2,5}", re.DOTALL)
_WORD = re.compile(r"\S+")
_NAMED_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "blanks"}


@dataclass(frozen=True)
class _Record:
    """One row of cells, and the lines of the text it stands in, counted from 1."""

    line: int
    last_line: int
    cells: list[str]


def read_delimited(name: str, text: str, is_a_row: Callable[[Sequence[str]], bool]) -> Table:
    """The table in `text`. `is_a_row` tells a first line that is a row from a header.

    Raises DataError, naming file and line, for rows with more cells than the header and for quotes that swallow rows.
    """
    lines = list(io.StringIO(text, newline=""))
    start, asked = _said_delimiter(lines)
    above = _lines_above(lines[start:])
    start += above
    delimiter = asked or _delimiter(lines[start:])
    quote = "'" if re.fullmatch(rf"'[^']*'({re.escape(delimiter)} *'[^']*')*\s*", _first(lines[start:])) else '"'
    records = _records(name, lines, start, delimiter, quote)
    if not records:
        return Table((), lambda names: iter(()))
    has_header = not is_a_row([cell.strip() for cell in records[0].cells])
    header = records[0].cells if has_header else [str(i) for i in range(1, len(records[0].cells) + 1)]
    rows = records[1:] if has_header else records
    if has_header and _has_row_names(header, rows):
        header = ["", *header]
    if has_header:
        _check_header(name, header, records[0].line, rows)
    _check_widths(name, len(header), rows, delimiter)
    _check_swallowed(name, lines, len(header), rows, delimiter=delimiter, quote=quote)
    names = distinct(header)
    padded = [(f"line {row.line}", [*row.cells, *[None] * (len(names) - len(row.cells))]) for row in rows]
    notes = [] if has_header else ["the first line is a row, not a header: columns are numbered from 1"]
    notes += [f"{above} lines above the header are no part of the table"] if above else []
    return of_rows(names, padded, notes=notes, has_header=has_header)


def _first(lines: Sequence[str]) -> str:
    return next((line for line in lines if line.strip()), "")


def _said_delimiter(lines: Sequence[str]) -> tuple[int, str]:
    """Lines before the table and the delimiter, where the first line says it as Excel does: `sep=;`."""
    found = re.fullmatch(r'"?sep=(.)"?\s*', lines[0]) if lines else None
    return (1, found[1]) if found else (0, "")


def _lines_above(lines: Sequence[str]) -> int:
    """Lines of a title or a comment above the table: those before rows of one width, where they have one cell each."""
    for n in range(min(_MAX_ABOVE, len(lines) - 1) + 1):
        rows = _probe(lines[n:], _delimiter(lines[n:]))
        if rows and sum(map(bool, rows[0])) > 1 and rows[0][0][:1] != "#":
            return n if n == 0 or len({len(row) for row in rows}) == 1 else 0
    return 0


def _delimiter(lines: Sequence[str]) -> str:
    """The one that divides the first line, and the others into as many cells."""

    def evenness(delimiter: str) -> tuple[bool, float, int]:
        rows = _probe(lines, delimiter)
        n = len(rows[0]) if rows else 0
        return n > 1, sum(len(row) == n for row in rows) / max(1, len(rows)), n

    best = max(DELIMITERS, key=evenness)
    if evenness(best)[0]:
        return best
    widths = [len(row) for row in _probe(lines, " ")]
    is_even = widths and widths[0] > 1 and set(widths[1:]) <= {max(widths)} and max(widths) - widths[0] <= 1
    return " " if is_even else ","


def _probe(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        return [[cell for cell in row if cell or delimiter != " "] for row in islice(reader, _N_PROBED) if any(row)]
    except csv.Error:
        return []


def _records(name: str, lines: Sequence[str], start: int, delimiter: str, quote: str) -> list[_Record]:
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(lines[start:], delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    records: list[_Record] = []
    line = start + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return records
        except csv.Error as error:
            raise DataError(f"{name}: line {line}: is no readable CSV: {error}") from None
        last = start + reader.line_num
        if delimiter == " ":
            cells = [cell for cell in cells if cell.strip()]
        if any(cell.strip() for cell in cells):
            records.append(_Record(line, last, cells))
        line = last + 1


def _has_row_names(header: Sequence[str], rows: Sequence[_Record]) -> bool:
    """Whether every row has one cell more than the header, and numbers in front: as R writes its row names."""
    firsts = [row.cells[0] for row in rows]
    return (
        bool(rows)
        and all(len(row.cells) == len(header) + 1 for row in rows)
        and all(cell.isdigit() for cell in firsts)
        and len(set(firsts)) == len(firsts)
    )


def _check_header(name: str, header: Sequence[str], line: int, rows: Sequence[_Record]) -> None:
    """Raises DataError where no line end stands behind the header, so that it holds the first row too."""
    width = len(rows[0].cells) if rows else 0
    if width < 2 or len(header) != 2 * width - 1 or any(len(row.cells) != width for row in rows):
        return
    joined, rest = header[width - 1], header[width:]
    known = [{row.cells[at].strip() for row in rows} for at in range(width)]
    is_like_a_file = _FILE.fullmatch(joined.strip()) and all(map(_FILE.fullmatch, known[0]))
    if is_like_a_file or all(cell.strip() in known[at] for at, cell in enumerate(rest, start=1)):
        raise DataError(
            f"{name}: line {line} holds the header and a row: {len(header)} cells, where all rows have {width}:"
            f" {shown(joined, 80)}",
            hint="end the header with a line end before the first row",
        )


def _check_widths(name: str, width: int, rows: Sequence[_Record], delimiter: str) -> None:
    long = []
    for row in rows:
        while len(row.cells) > width and not row.cells[-1].strip():
            row.cells.pop()
        if len(row.cells) > width:
            long.append(row)
    if not long:
        return
    n, first = len(long), long[0]
    others = ", ".join(f"line {row.line}" for row in long[1:_N_NAMED])
    more = f" ({n:,} rows: also {others}{', ...' if n > _N_NAMED else ''})" if n > 1 else ""
    raise DataError(
        f"{name}: line {first.line} has {len(first.cells)} cells, the header has {width}{more}:"
        f" {shown(delimiter.join(first.cells), 80)}",
        hint=f'put cells that hold {_NAMED_DELIMITERS[delimiter]} themselves into quotes: "Tomato, early blight"',
    )


def _check_swallowed(
    name: str, lines: Sequence[str], width: int, rows: Sequence[_Record], *, delimiter: str, quote: str
) -> None:
    """Raises DataError where a cell in quotes goes over lines that are rows themselves."""
    long = [row for row in rows if row.last_line > row.line]
    key, pattern = _key_column(width, rows) if long else (0, _FILE)
    for row in long:
        inner = lines[row.line : row.last_line]
        parsed = [next(csv.reader([line], delimiter=delimiter, quotechar=quote), []) for line in inner]
        own = sum(len(cells) == width and bool(pattern.fullmatch(cells[key].strip())) for cells in parsed)
        if own and 2 * own >= len(inner) - 1:
            raise DataError(
                f"{name}: a quote in line {row.line} is closed in line {row.last_line} only:"
                f" {own:,} lines that look like rows of their own would be lost",
                hint=f"take the quote out of line {row.line}, or write it twice within a cell in quotes",
            )


def _key_column(width: int, rows: Sequence[_Record]) -> tuple[int, re.Pattern[str]]:
    """The column by which a line is known for a row, and how its cells look: files, else words without a blank."""
    for pattern in (_FILE, _WORD):
        for column in range(width):
            cells = [row.cells[column].strip() for row in rows if len(row.cells) > column]
            if sum(bool(pattern.fullmatch(cell)) for cell in cells) >= 0.8 * len(rows):
                return column, pattern
    return 0, _WORD
