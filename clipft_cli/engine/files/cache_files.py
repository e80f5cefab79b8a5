"""What is computed once and kept for later runs: files of clipft's own, known by their names; no other is touched."""

from __future__ import annotations

import contextlib
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .write import half_written

STALE_SECONDS = 86_400.0
"""Age from which a half-written file is taken for one that a killed process has left."""


def cache_folder() -> Path:
    """The user's cache folder of clipft: XDG_CACHE_HOME/clipft or ~/.cache/clipft on Linux."""
    return platformdirs.user_cache_path("clipft", appauthor=False)


FEATURES, IMAGES = "features", "images"
"""Folders in `cache_folder()`: features of whole data sets under the pretrained model; decoded images, packed."""


@dataclass(frozen=True)
class CacheFiles:
    """The files of one kind in `folder`: `n_digits` hexadecimal digits and `suffix`.

    The folder may hold anything else: it may have been named by someone's config. What is no plain file of such a
    name is never counted, changed or removed.
    """

    folder: Path
    suffix: str
    n_digits: int

    def path(self, key: str) -> Path:
        """The file of `key`, a digest of `n_digits` hexadecimal digits."""
        return self.folder / f"{key}{self.suffix}"

    def make_room(self, limit: int, kept: Sequence[Path] = ()) -> None:
        """Remove the files that were not used for longest, but none of `kept`, until all take `limit` bytes at most."""
        found = [(mtime, size, path) for path, mtime, size in self._plain_files() if self._is_own(path.name)]
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total > limit and path not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size

    def own(self) -> list[tuple[Path, int]]:
        """(path, bytes) of each file of this cache; empty where the folder is not there or cannot be read."""
        try:
            return [(path, size) for path, _, size in self._plain_files() if self._is_own(path.name)]
        except OSError:
            return []

    def clear(self) -> int:
        """Remove the files of this cache, and no other. Returns the bytes that are free now."""
        freed = 0
        for path, size in self.own():
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
        return freed

    def sweep(self, path: Path | None = None) -> None:
        """Remove what a killed process has left half written: of `path`, which nobody else writes now, and of any
        file that is a day old.
        """
        for left, mtime, _ in self._plain_files():
            name = half_written(left.name)
            if name is None or not self._is_own(name):
                continue
            if (path is not None and name == path.name) or time.time() - mtime > STALE_SECONDS:
                with contextlib.suppress(OSError):
                    left.unlink()

    def _is_own(self, name: str) -> bool:
        return re.fullmatch(rf"[0-9a-f]{{{self.n_digits}}}{re.escape(self.suffix)}", name) is not None

    def _plain_files(self) -> Iterator[tuple[Path, float, int]]:
        """(path, time of its last use, bytes) of each regular file: no folder, no link."""
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status.st_mtime, status.st_size


def feature_files(folder: Path | None = None) -> CacheFiles:
    """The cache of features, in `folder` or in the user's cache folder."""
    return CacheFiles(folder or cache_folder() / FEATURES, ".safetensors", 64)


def image_files() -> CacheFiles:
    """The cache of decoded images."""
    return CacheFiles(cache_folder() / IMAGES, ".pixels", 32)


CACHES: dict[str, tuple[str, Callable[[], CacheFiles]]] = {
    FEATURES: ("features of whole data sets under a pretrained model", feature_files),
    IMAGES: ("decoded images, packed", image_files),
}
"""What clipft keeps for later runs, by name: what it is, and its files."""
