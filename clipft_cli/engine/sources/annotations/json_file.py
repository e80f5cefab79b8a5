"""JSON files, read once however many formats look into them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...files.regular import regular_bytes


def json_content(path: Path) -> Any:
    """What a file that is called .json says; None where it is none, or no JSON."""
    if path.suffix.lower() != ".json":
        return None
    try:
        status = path.stat()
        return _content(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=1)
def _content(path: Path, changed_ns: int, n_bytes: int) -> Any:
    return json.loads(regular_bytes(path))


def json_object(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; empty where there is none."""
    content = json_content(path)
    return content if isinstance(content, dict) else {}


def json_records(path: Path) -> list[dict[str, Any]]:
    """The objects of the list in a JSON file; empty where it is none, or holds anything else."""
    content = json_content(path)
    is_list = isinstance(content, list) and bool(content) and all(isinstance(one, dict) for one in content)
    return content if is_list else []
