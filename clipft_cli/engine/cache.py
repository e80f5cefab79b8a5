"""What is kept between runs: where, how much, and how it is cleared."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .files.amounts import size
from .files.cache_files import CACHES


@dataclass(frozen=True)
class CachePlace:
    """One kind of kept files. `is_own`: made by clipft alone, so that `clear` may remove them."""

    name: str
    what: str
    folder: Path
    n_files: int
    n_bytes: int
    is_own: bool

    @property
    def amount(self) -> str:
        """`3 files, 1.2 GB`."""
        return f"{self.n_files:,} file{'' if self.n_files == 1 else 's'}, {size(self.n_bytes)}"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "folder": str(self.folder)}


def caches() -> list[CachePlace]:
    """Every cache that runs on this machine fill, with what lies in it now."""
    places = []
    for name, (what, files_of) in CACHES.items():
        files = files_of()
        own = files.own()
        places.append(CachePlace(name, what, files.folder, len(own), sum(n for _, n in own), True))
    weights = _hub_folder()
    blobs = [entry for entry in weights.glob("models--*/blobs/*") if entry.is_file()]
    places.append(
        CachePlace(
            "weights",
            "downloaded pretrained weights, which other programs share; remove a model's folder by hand",
            weights,
            len(blobs),
            sum(blob.stat().st_size for blob in blobs),
            False,
        )
    )
    return places


def clear() -> int:
    """Remove what clipft has kept, and nothing else. Returns the bytes freed."""
    return sum(files_of().clear() for _, files_of in CACHES.values())


def _hub_folder() -> Path:
    """Where huggingface_hub keeps downloads, by its documented variables."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(home) / "hub"
