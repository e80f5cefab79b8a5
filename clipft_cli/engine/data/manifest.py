"""The list of images a data set is made of: which file, which class, which split; and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ...config.data import SplitName
from ...errors import DataError

DATASET_FILE = "dataset.json"
MANIFEST_FILE = "manifest.jsonl"
CLASSES_FILE = "classes.txt"
PROBLEMS_FILE = "problems.csv"
FORMAT = 1


@dataclass(frozen=True)
class ClassInfo:
    """One class: `name` is its folder, `readable` the words that go into prompts."""

    name: str
    readable: str


@dataclass(frozen=True)
class Row:
    """One image. `path` is relative to the data folder (posix) or absolute; `sha256` is of the file's bytes."""

    path: str
    label: int
    split: SplitName
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A prepared data set. `rows` are sorted by split, label and path; labels index `classes`."""

    root: Path
    name: str
    classes: tuple[ClassInfo, ...]
    rows: tuple[Row, ...]
    digest: str

    def split(self, name: SplitName) -> tuple[Row, ...]:
        """The rows of one split, in manifest order. Raises DataError where it has none."""
        rows = tuple(row for row in self.rows if row.split == name)
        if not rows:
            counts = ", ".join(f"{s}: {sum(r.split == s for r in self.rows)}" for s in get_args(SplitName))
            raise DataError(
                f"{self.root}: the split '{name}' has no images ({counts})",
                hint="choose another split, or run `clipft prepare` with a share for it",
            )
        return rows

    def file(self, row: Row) -> Path:
        """Where the image of `row` lies."""
        return self.root / row.path  # an absolute path replaces the root


def digest_of(classes: Iterable[ClassInfo], rows: Iterable[Row]) -> str:
    """sha256 over class order and what each split holds; paths and readable names do not count."""
    parts = [cls.name for cls in classes]
    parts += sorted(f"{row.split} {row.label} {row.sha256}" for row in rows)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
