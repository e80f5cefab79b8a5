"""A file of image features: `paths` (N,) beside `embeddings` (N, D) float32, as .npz or as Parquet."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...errors import MissingExtraError, ResourceError
from .write import whole_file


class EmbeddingsFile:
    """Collects rows, and writes them whole at the end; until then a file of that name stays as it was.

    Raises MissingExtraError or ResourceError where it cannot be written, before the first image is looked at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
            raise MissingExtraError(
                f"{path}: is written by pyarrow, which is not installed",
                hint="pip install 'clipft-cli[parquet]', or name a file .npz",
            )
        if path.is_dir() or (path.exists() and not path.is_file()):
            what = "a folder" if path.is_dir() else "no regular file"
            raise ResourceError(f"{path}: is {what}, features need a file of their own", hint="choose another file")
        self._paths: list[str] = []
        self._rows: list[np.ndarray] = []

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D) so far."""
        return len(self._paths), self._rows[0].shape[1] if self._rows else 0

    def add(self, paths: Sequence[str], rows: np.ndarray) -> None:
        """(B, D) features of images; those that are not finite are left out, as their predictions are."""
        is_kept = np.isfinite(rows).all(axis=1)
        self._paths += [path for path, kept in zip(paths, is_kept, strict=True) if kept]
        self._rows.append(rows[is_kept].astype(np.float32, copy=False))

    def write(self) -> None:
        """Raises ResourceError."""
        matrix = np.concatenate(self._rows) if self._rows else np.empty((0, 0), np.float32)
        try:
            target = self.path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as temporary:
                WRITERS[self.path.suffix.lower()](temporary, self._paths, matrix)
        except OSError as error:
            why = "a part of this path is a file" if error.errno in (errno.EEXIST, errno.ENOTDIR) else error.strerror
            raise ResourceError(f"{self.path}: cannot be written: {why}", hint="choose another file") from None


def _write_npz(file: Path, paths: Sequence[str], matrix: np.ndarray) -> None:
    with open(file, "wb") as opened:  # a name would get a suffix
        np.savez(opened, paths=np.array(paths, dtype=np.str_), embeddings=matrix)


def _write_parquet(file: Path, paths: Sequence[str], matrix: np.ndarray) -> None:
    import pyarrow
    from pyarrow import parquet

    lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(matrix.ravel()), max(1, matrix.shape[1]))
    names = [path.encode("utf-8", "backslashreplace").decode() for path in paths]
    parquet.write_table(pyarrow.table({"path": pyarrow.array(names, pyarrow.string()), "embedding": lists}), file)


WRITERS: dict[str, Callable[[Path, Sequence[str], np.ndarray], None]] = {".npz": _write_npz, ".parquet": _write_parquet}
"""By the suffix of the file."""
