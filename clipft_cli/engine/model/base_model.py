"""What a fine-tuned model started from, in words and digests; no torch is needed to read it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class BaseModel:
    """Enough to load a base model again and to refuse another one.

    `weights_sha256` is over all tensors, `quick_gelu` the activation really built. `file` is the safetensors file
    the weights came from, `file_sha256` the digest of its bytes: both None where they came from another format.
    """

    name: str
    pretrained: str | None
    quick_gelu: bool
    weights_sha256: str
    model_cfg: dict[str, Any]
    cache_dir: str | None = None
    file: str | None = None
    file_sha256: str | None = None

    @property
    def digest(self) -> str:
        """Of the function: with another activation or number of heads, the same tensors are another model."""
        parts = json.dumps([self.weights_sha256, self.quick_gelu, self.model_cfg], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def file_name(self) -> str | None:
        """What the file of its weights was called; None where they have a name that open_clip knows."""
        named = self.file or self.pretrained
        return Path(named).name if named else None

    def to_json(self) -> dict[str, Any]:
        """As stored in a checkpoint, which may be given away: files by their names, no place of this machine."""
        facts = {**asdict(self), "cache_dir": None}
        for key in ("name", "pretrained", "file"):
            value = facts[key]
            if value is not None and Path(value).is_absolute():
                facts[key] = Path(value).name
        return facts
