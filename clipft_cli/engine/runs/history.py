"""What a run wrote after each epoch: the rows of metrics.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.regular import regular_text


def read_history(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The rows; none where there is no such file or it is damaged: curves alone come from it."""
    try:
        rows = [json.loads(line) for line in regular_text(path).splitlines() if line]
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(row for row in rows if isinstance(row, dict) and isinstance(row.get("epoch"), int))
