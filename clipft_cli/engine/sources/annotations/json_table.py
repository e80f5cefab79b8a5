"""A JSON list of flat objects, as pandas and Label Studio (JSON-MIN) write tables."""

from __future__ import annotations

from pathlib import Path

from ...tables.json_rows import of_objects
from ...tables.table import Table
from .format import Format
from .json_file import json_records


def _evidence(path: Path) -> str:
    return f"{path.name} is a JSON list of objects" if json_records(path) else ""


def _table(path: Path, encoding: str | None) -> Table:
    return of_objects([(f"object {n}", one) for n, one in enumerate(json_records(path), start=1)])


JSON_TABLE = Format("json-table", "JSON", _evidence, _table)
