"""A folder of images whose classes stand in tables beside them: labels.csv, or one table a split, as competitions,
Roboflow and Hugging Face give them out."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...config.data import SplitName
from ...errors import Answer, ClipftError, DataError, Question
from ..files.pictures import is_picture
from ..files.visible import shown
from ..labels.folder_names import folder_name
from ..tables.read import TABLE_SUFFIXES
from .annotations import FORMATS
from .annotations.format import Format, list_annotated
from .folders import OWN_FILES, list_folder
from .listing import Item, Listing
from .problems import Problem
from .source import Source, SourceRequest, whole_path
from .split_lists import apply_split_lists
from .split_words import split_word
from .tables import list_table
from .tree import is_ignored, walk

_MAX_DEPTH = 2
_MAX_TABLES = 100
_ANNOTATION_SUFFIXES = frozenset({".json", ".xml", ".txt", ".lst"})
_NO_TABLE = re.compile(r"sample.?submission|submission|readme|requirements|partition|train.?test.?split", re.IGNORECASE)
_OF_IMAGES = frozenset(
    "image images img imgs picture pictures photo photos jpg jpeg png jpegimages files data dataset raw".split()  # noqa: SIM905
)
"""Folders that say nothing of what lies in them."""


def tables_in(root: Path) -> list[Path]:
    """The tables in a folder and two below that may name images, sorted."""
    found: list[Path] = []
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        here: list[Path] = []
        for entry in entries:
            if is_ignored(entry.name):
                continue
            if entry.is_dir() and depth < _MAX_DEPTH:
                waiting.append((folder / entry.name, depth + 1))
            elif _is_table_name(entry.name) and not entry.is_dir():
                here.append(folder / entry.name)
        if len(here) <= _MAX_TABLES:  # more are a text for each image
            found += here
    return sorted(path for path in found if path.suffix.lower() in TABLE_SUFFIXES or _format_of(path))


def _is_table_name(name: str) -> bool:
    is_table = os.path.splitext(name)[1].lower() in TABLE_SUFFIXES | _ANNOTATION_SUFFIXES
    return is_table and name not in OWN_FILES and not _NO_TABLE.search(name)


def holds_table(root: Path) -> bool:
    """Whether tables lie in a folder, and its images, where there are any, do not lie in class folders."""
    if (root / "dataset.json").exists():
        return False
    tables = tables_in(root)
    if not tables or has_class_folders(root):
        return False
    holds_images = any(path.suffix.lower() == ".parquet" for path in tables)
    return holds_images or any(is_picture(root / path) for path in walk(root).files)


def has_class_folders(root: Path) -> bool:
    """Whether the pictures below a folder lie in two folders or more that may be classes."""
    pictures = [path for path in walk(root).files if is_picture(root / path)]
    shared = Path(os.path.commonpath([path.parent for path in pictures] or [Path()]))
    return len({_class_folder(path.relative_to(shared)) for path in pictures} - {None}) > 1


def _class_folder(path: Path) -> str | None:
    """The first folder above an image whose name says more than that it holds images of a split."""
    said = (part for part in path.parts[:-1] if split_of_name(part) is None and part.casefold() not in _OF_IMAGES)
    return next(said, None)


def split_of_name(name: str) -> SplitName | None:
    """The split that the name of a folder or a file says: `train`, `train-00000-of-00002`, `test_labels`."""
    found = split_word(name)
    return found.split if found else None


def list_by_table(root: Path, request: SourceRequest, inside: Path | None = None) -> Listing:
    """The images that the tables of `root` name.

    Tables of splits or parts are read as one; of others the only one that can be understood is taken. Raises
    DataError where several can, with a command for each, and as `list_table` does where none can.
    """
    listings: dict[Path, Listing] = {}
    failures: dict[Path, ClipftError] = {}
    for path in tables_in(root):
        try:
            listings[path] = list_one(path, request, inside, root)
        except ClipftError as error:
            failures[path] = error
    if not listings:
        return _without_tables(root, request, failures)
    listing = _joined(root, listings, request, inside)
    listing.name, listing.description = root.resolve().name or "images", str(root)
    for path, failure in failures.items():
        listing.notes.append(f"{path.relative_to(root)} is not used: {shown(failure.message.splitlines()[0], 200)}")
    _note_unlisted(listing, root)
    apply_split_lists(listing, root, request, walk(root).files)
    return listing


def _without_tables(root: Path, request: SourceRequest, failures: Mapping[Path, ClipftError]) -> Listing:
    """The images by their folders and names, where no table can be understood.

    Raises the Question of a table that names images and can be read in two ways, and the error of the first table
    where folders and names tell no two classes.
    """
    path, failure = next(iter(failures.items()))
    if question := next((error for error in failures.values() if isinstance(error, Question)), None):
        raise question
    try:
        listing = list_folder(root, request)
    except ClipftError:
        raise failure from None
    if len(listing.labels()) < 2:
        raise failure
    listing.notes.append(f"{path.relative_to(root)} is not used: {shown(failure.message.splitlines()[0], 200)}")
    return listing


def list_one(path: Path, request: SourceRequest, inside: Path | None, root: Path) -> Listing:
    form = _format_of(path)
    if form is not None:
        return list_annotated(form, path, request, inside, beside=[root])
    return list_table(path, request, inside, beside=[root])


def _format_of(path: Path) -> Format | None:
    if path.suffix.lower() in TABLE_SUFFIXES:
        return None
    return next((form for form in FORMATS.values() if form.evidence(path)), None)


def _joined(
    root: Path, listings: Mapping[Path, Listing], request: SourceRequest, inside: Path | None = None
) -> Listing:
    paths = list(listings)
    if len({_content(listing) for listing in listings.values()}) == 1:
        paths = paths[:1]
    splits = [split_of_name(path.stem) or split_of_name(path.parent.name) for path in paths]
    are_parts = len({re.sub(r"\d+", "", path.name) for path in paths}) == 1 and len({p.parent for p in paths}) == 1
    if len(paths) > 1 and not are_parts and None in splits:
        raise _which(root, paths, request, inside)
    joined = Listing("", "")
    for path, split in zip(paths, splits, strict=True):
        listing = listings[path]
        given = split if len(paths) > 1 else None
        joined.items += [_with_split(item, given) for item in listing.items]
        joined.problems += listing.problems
        where = f"{path.relative_to(root)}" + (f" ({given})" if given else "")
        joined.notes += [f"{where}: {note}" for note in listing.notes]
        joined.warnings += [warning for warning in listing.warnings if warning not in joined.warnings]
    ways, places = ([getattr(listings[path], what) for path in paths] for what in ("read_as", "places"))
    joined.read_as = ways[0] if all(way == ways[0] for way in ways) else {}
    joined.places = dict(set.intersection(*({*found.items()} for found in places)))
    if len(paths) > 1 and None not in splits:
        joined.places["split"] = "names of the tables"
    return joined


def _content(listing: Listing) -> frozenset[tuple[str, str]]:
    return frozenset((str(item.file), item.label) for item in listing.items)


def _with_split(item: Item, split: SplitName | None) -> Item:
    return item if item.split is not None else dataclasses.replace(item, split=split)


def _which(root: Path, paths: Sequence[Path], request: SourceRequest, inside: Path | None) -> DataError:
    named = ", ".join(str(path.relative_to(root)) for path in paths[:5])
    if inside is not None:
        return DataError(
            f"{root}: {len(paths)} tables name images with classes: {named}",
            hint="unpack it, then give clipft the table that is meant",
        )
    return request.question(
        f"{root}: {len(paths)} tables name images with classes: {named}",
        [Answer(f"by {path.relative_to(root)}", alone(path, root)) for path in paths[:5]],
    )


def alone(path: Path, root: Path) -> dict[str, str]:
    """The settings that read a table of `root` by itself: its images are looked for where they were."""
    return {"source": str(path), **({"image_root": str(root)} if path.parent != root else {})}


def _note_unlisted(listing: Listing, root: Path) -> None:
    """Pictures that no table names become problems."""
    if any(not item.file.is_relative_to(root) for item in listing.items):
        return
    named = {item.file.resolve() for item in listing.items}
    pictures = [path for path in walk(root).files if is_picture(root / path)]
    others = [path.as_posix() for path in pictures if (root / path).resolve() not in named]
    listing.problems += [Problem(path, "image that no table names") for path in others]


def _evidence(text: str) -> str:
    path = Path(text)
    if not text or not path.is_dir() or not holds_table(path):
        return ""
    first = tables_in(path)[0].relative_to(path)
    return f"{shown(str(first))} lies in {path.name or text}, and its images lie in no class folders"


TABLE_FOLDER = Source(
    "table-folder",
    "folder with a table",
    _evidence,
    lambda request: list_by_table(request.path, request),
    data_folder=lambda text: folder_name(Path(text).resolve().name) or "images",
    origin=whole_path,
    images_may_stay=True,
)
