"""A read that takes long is told of while it lasts: a network file system that stalls looks like a hang."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 20.0

_reads: dict[int, tuple[str, float]] = {}
"""What each thread is reading now, by its identity: the path, and since when."""


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """A block in which this thread waits for `path`."""
    me = threading.get_ident()
    _reads[me] = path, time.monotonic()
    try:
        yield
    finally:
        _reads.pop(me, None)


@contextlib.contextmanager
def telling_of_stalls(tell: Callable[[str], object], patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Within the block `tell` gets a sentence for a read that lasts longer, and again when it has lasted twice as long.

    `tell` is called in another thread.
    """
    is_over = threading.Event()

    def watch() -> None:
        told: dict[tuple[str, float], float] = {}  # how long each read may yet last unmentioned
        while not is_over.wait(patience_seconds / 4):
            now = time.monotonic()
            for path, since in list(_reads.values()):
                if now - since >= told.get((path, since), patience_seconds):
                    told[path, since] = 2 * (now - since)
                    tell(f"{path}: waiting for {now - since:.0f} s to read it; its disk or network does not answer")

    watcher = threading.Thread(target=watch, name="clipft-stalls", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
