"""The names that a setting takes, as its error lists them."""

from __future__ import annotations

from typing import Any, get_args


def choices(kind: Any) -> str:
    """`'a', 'b' or 'c'` of a Literal."""
    *names, last = map(repr, get_args(kind))
    return f"{', '.join(names)} or {last}"
