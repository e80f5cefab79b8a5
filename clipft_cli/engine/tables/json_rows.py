"""Rows in JSON: one object a line (JSONL), or one list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .table import Table, of_rows

NO_OBJECT = "not a JSON object with each key once"


def read_json_lines(text: str) -> Table:
    """The objects of the lines of `text`; a line that is none is a problem. Blank lines are passed over."""
    whole = parsed(text) if text.lstrip().startswith("[") else None
    if isinstance(whole, list) and all(isinstance(one, dict) for one in whole):
        return of_objects([(f"object {n}", one) for n, one in enumerate(whole, start=1)])
    rows: list[tuple[str, dict[str, Any]]] = []
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = parsed(line)
        if isinstance(found, dict):
            rows.append((f"line {number}", found))
        else:
            problems.append((f"line {number}", NO_OBJECT))
    return of_objects(rows, problems)


def parsed(text: str) -> Any:
    """What a JSON text says; None where it is none, or an object in it has a key twice: one of them would be lost."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def of_objects(rows: Sequence[tuple[str, dict[str, Any]]], problems: Iterable[tuple[str, str]] = ()) -> Table:
    """A table of (place, object): its columns are all keys, in the order in which they are met first."""
    names = tuple(dict.fromkeys(key for _, row in rows for key in row))
    return of_rows(names, [(place, [row.get(name) for name in names]) for place, row in rows], problems=list(problems))
