"""JSON that knows whether it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from .regular import regular_bytes

MAX_SIGNED_BYTES = 64 << 20


def signed_json(content: Mapping[str, Any]) -> str:
    """JSON text that ends with a checksum over the rest, so that a flipped bit in it shows."""
    body = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    return json.dumps({**body, "sha256": digest}, indent=2, ensure_ascii=False) + "\n"


def read_description(path: Path, what: str, *, hint: str | None = None) -> dict[str, Any]:
    """What `signed_json` wrote of a folder that is then no `what` without it.

    Raises CheckpointError, with `hint` where it is damaged.
    """
    try:
        return read_signed(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file, this is no {what}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}", hint=hint) from None


def read_signed(path: Path) -> dict[str, Any]:
    """What `signed_json` wrote. Raises OSError, and ValueError where it is damaged."""
    content = regular_bytes(path, MAX_SIGNED_BYTES)
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("is damaged") from None
    except ValueError:
        raise ValueError("is damaged") from None
    if not isinstance(found, dict) or content != signed_json(found).encode("utf-8", "replace"):
        raise ValueError("is damaged (its checksum differs)")
    return found
