"""Amounts as a person reads them, with a dash where one is not known; and as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNKNOWN = "–"


def duration(seconds: float | None) -> str:
    """`85 s`, `12 min`, `1.6 h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 image`, `1,200 images`, `2 classes`: a number with its noun, of which `many` is the plural."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def size(n_bytes: int) -> str:
    """`1.2 MB`, in powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} B"


def gib(value: float | None) -> str:
    """`1.20 GiB`."""
    return f"{value:.2f} GiB" if value is not None else UNKNOWN


def energy(joules: float) -> str:
    """`0.35 Wh`, `1.2 kWh`: what an electricity bill counts in."""
    hours = joules / 3600
    if hours >= 1000:
        return f"{hours / 1000:.2g} kWh"
    return f"{hours:.0f} Wh" if hours >= 10 else f"{hours:.2g} Wh"


def finite(value: Any) -> Any:
    """`value`, of mappings, lists and plain values, for JSON: what is no number (nan, inf) becomes None."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
