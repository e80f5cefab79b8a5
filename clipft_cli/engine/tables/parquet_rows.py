"""Parquet through pyarrow, a batch at a time: images in it are never all in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError, MissingExtraError
from ..files.regular import as_regular
from .table import Row, Table

_BATCH_ROWS = 256


def read_parquet(paths: Sequence[Path]) -> Table:
    """The rows of the files, one after the other; they have the same columns.

    Raises MissingExtraError without pyarrow, DataError for a file that is no readable Parquet or has other columns.
    """
    schemas = [_schema(path) for path in paths]
    names = tuple(schemas[0].names)
    for path, schema in zip(paths, schemas, strict=True):
        if tuple(schema.names) != names:
            raise DataError(
                f"{path}: has other columns than {paths[0].name}: {', '.join(schema.names[:12])}",
                hint="give one file; or make a folder of files with the same columns",
            )

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for path in paths:
            lead = f"{path.name} row" if len(paths) > 1 else "row"
            for number, cells in enumerate(_cells(path, wanted), start=1):
                yield Row(f"{lead} {number}", cells)

    return Table(names, read, class_names=_class_names(schemas[0]))


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            f"{path}: reading Parquet needs pyarrow", hint="pip install 'clipft-cli[parquet]'"
        ) from None
    return pyarrow


def _schema(path: Path) -> Any:
    pyarrow = _pyarrow(path)
    try:
        schema = pyarrow.parquet.read_schema(as_regular(path))
        _ = schema.names  # decoded only when they are asked for
        return schema
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise _unreadable(path, error) from None


def _cells(path: Path, wanted: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(as_regular(path)) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(dict.fromkeys(wanted))):
                columns = [batch.column(name).to_pylist() for name in wanted]
                yield from zip(*columns, strict=True)
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise _unreadable(path, error) from None


def _class_names(schema: Any) -> dict[str, list[str]]:
    """The names that the `datasets` library stores with a column of class numbers (its ClassLabel)."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel" and about.get("names")
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return DataError(f"{path}: is no readable Parquet: {reason}")
