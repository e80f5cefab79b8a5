"""A cell as a label: what it says, and what it is where it says none or several."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from typing import Any


class ManyLabels(ValueError):
    """A cell holds several labels, or fields with names: `args[0]` says which, in words."""


_LIST = re.compile(r"\s*[\[(].*[\])]\s*", re.DOTALL)
_MAPPING = re.compile(r"\s*\{.*:.*\}\s*", re.DOTALL)
_MARKS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
_BYTES = re.compile(r"""\s*b(['"]).*\1\s*""", re.DOTALL)


def label_text(value: Any) -> str | None:
    """The label in a cell as text, None where there is none (empty, null, NaN).

    A list of one is its element, bytes are decoded (what is no UTF-8 as surrogates), a whole float is the number that
    a program made it of. The same holds where a program has written such values out as text. Raises ManyLabels.
    """
    if isinstance(value, str):
        value = _written_out(value)
    if isinstance(value, Mapping):
        raise ManyLabels("fields with names (" + ", ".join(str(key) for key in list(value)[:5]) + ")")
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise ManyLabels(f"several, {len(value)} labels")
        return label_text(value[0]) if value else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _written_out(text: str) -> Any:
    """The value of a cell such as `['cat']`, `{"name": "cat"}` or `b'cat'`; else the text itself."""
    if not (_LIST.fullmatch(text) or _MAPPING.fullmatch(text) or _BYTES.fullmatch(text)):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        is_list = isinstance(value, list) or (isinstance(value, tuple) and all(isinstance(v, str) for v in value))
        if is_list or isinstance(value, Mapping | bytes):
            return value
    return text


def mark(value: Any) -> bool | None:
    """What a cell says in a column where each class has one: 1 is yes, 0 is no; None where it says something else."""
    text = value.strip().casefold() if isinstance(value, str) else str(value).casefold()
    return _MARKS.get(text)


def file_text(value: Any) -> str | None:
    """The name of a file in a cell, None where there is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with a gap was made one of floats
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | tuple) and len(value) == 1:
        return file_text(value[0])
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    return str(value).strip() or None
