"""Where images come from: one function a kind of source, in one registry."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...config.commands import PrepareOptions
from ...errors import ConfigError, DataError
from .archives import is_archive_name, list_archive
from .drawn import DEFAULT_PER_CLASS, draw_listing, drawn_classes
from .folders import list_folder
from .hub import list_hub
from .listing import Listing
from .official import list_oxford_pets, list_stanford_dogs
from .tables import TABLE_SUFFIXES, list_table

SourceKind = Literal["drawn", "folder", "table", "archive", "stanford-dogs", "oxford-pets", "hub"]
OFFICIAL = ("stanford-dogs", "oxford-pets")
KINDS_HINT = (
    "SOURCE is a folder, a CSV, JSONL or Parquet file, a zip or tar, stanford-dogs, oxford-pets or hf:owner/name"
)


@dataclass(frozen=True)
class SourceRequest:
    """What a source is read with. `work` is emptied afterwards, `downloads` stays."""

    options: PrepareOptions
    seed: int
    work: Path
    downloads: Path
    on_progress: Callable[[str, int, int | None], None]

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.options.source or "")


def _drawn(request: SourceRequest) -> Listing:
    breeds = drawn_classes(request.options.num_classes)
    per_class = request.options.samples_per_class or DEFAULT_PER_CLASS

    def on_done(done: int, total: int) -> None:
        request.on_progress("drawing", done, total)

    return draw_listing(request.work / "drawn", breeds, per_class, request.seed, on_done)


SOURCES: dict[SourceKind, Callable[[SourceRequest], Listing]] = {
    "drawn": _drawn,
    "folder": lambda request: list_folder(request.path),
    "table": lambda request: list_table(request.path, request.options, request.work / "table"),
    "archive": lambda request: list_archive(request.path, request.options, request.work, request.on_progress),
    "stanford-dogs": lambda request: list_stanford_dogs(
        request.options, request.work, request.downloads, request.on_progress
    ),
    "oxford-pets": lambda request: list_oxford_pets(
        request.options, request.work, request.downloads, request.on_progress
    ),
    "hub": lambda request: list_hub(request.options, request.work / "hub", request.on_progress),
}


def source_kind(source: str | None) -> SourceKind:
    """Which kind a SOURCE is. A path that exists comes before a name that is known.

    Raises DataError where it is nothing that can be read, ConfigError for a web address.
    """
    if source is None:
        return "drawn"
    path = Path(source)
    if path.is_dir():
        return "folder"
    if path.exists():
        return _file_kind(path)
    if source in OFFICIAL:
        return source  # type: ignore[return-value]
    if source.startswith("hf:"):
        return "hub"
    if "://" in source:
        raise ConfigError(
            f"{source}: web addresses are not fetched", hint="download it, then give the file. " + KINDS_HINT
        )
    near = difflib.get_close_matches(source.lower().replace("_", "-"), OFFICIAL, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}? " + KINDS_HINT if near else KINDS_HINT
    raise DataError(f"{source}: no such file or folder", hint=hint)


def _file_kind(path: Path) -> SourceKind:
    if path.suffix.lower() in TABLE_SUFFIXES:
        return "table"
    if is_archive_name(path):
        return "archive"
    raise DataError(f"{path}: is no folder, table or archive", hint=KINDS_HINT)


def read_source(request: SourceRequest) -> Listing:
    """All images of the source of `request`. Raises ClipftError as its kind does."""
    return SOURCES[source_kind(request.options.source)](request)
