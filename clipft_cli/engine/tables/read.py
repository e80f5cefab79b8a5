"""A table by its file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import Answer, DataError, Question
from ..files.regular import regular_bytes
from ..files.visible import shown
from .delimited import read_delimited
from .encodings import readings
from .json_rows import read_json_lines
from .parquet_rows import read_parquet
from .table import Table

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})


def read_table(path: Path, encoding: str | None, is_a_row: Callable[[Sequence[str]], bool]) -> Table:
    """The table of a file. `encoding`: None where it has to be found out. `is_a_row` tells a first line that is a row.

    Raises DataError where it cannot be read, or its text can be read in several ways.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return read_parquet([path])
    text, note = read_text(path, encoding)
    is_json = suffix in (".jsonl", ".ndjson")
    table = read_json_lines(text) if is_json else read_delimited(str(path), text, is_a_row)
    table.notes += [note] if note else []
    return table


def read_text(path: Path, encoding: str | None) -> tuple[str, str]:
    """The text of a file, and a note where its encoding was found out from how its letters read.

    Raises DataError where it is no text, Question where it can be read in several ways.
    """
    try:
        content = regular_bytes(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff"), ""
        except (UnicodeError, LookupError):
            raise DataError(f"{path}: is no text in {encoding}", hint="give its encoding with --encoding") from None
    found = readings(content)
    if not found:
        raise DataError(
            f"{path}: is not UTF-8 text, nor text in another encoding that is known by its letters",
            hint="save it as UTF-8, or give its encoding with --encoding",
        )
    if len(found) > 1:
        raise Question(
            f"{path}: is not UTF-8 text, and reads in {len(found)} ways",
            [
                Answer(f"{reading.encoding}: {shown(reading.example())}", {"encoding": reading.encoding})
                for reading in found
            ],
        )
    reading = found[0]
    is_sure = reading.encoding.startswith("utf")
    note = f"{path.name} was read as {reading.encoding} text, such as: {shown(reading.example())}"
    return reading.text.removeprefix("\ufeff"), "" if is_sure else f"{note} (if that is wrong: --encoding NAME)"
