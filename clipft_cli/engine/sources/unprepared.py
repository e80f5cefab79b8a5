"""Is there something to read images from that `clipft prepare` has not made a data set of?"""

from __future__ import annotations

from pathlib import Path

from ..manifest import is_made_by_clipft
from . import SOURCES


def is_unprepared(path: Path) -> bool:
    """Whether `path` is there, of a kind of source, and no data set that prepare wrote. An empty folder is not."""
    if not path.exists() or is_made_by_clipft(path) or (path.is_dir() and not any(path.iterdir())):
        return False
    return any(source.evidence(str(path)) for source in SOURCES.values())
