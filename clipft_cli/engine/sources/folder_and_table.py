"""Class folders with a table beside them: read by the folders where both say the same, else asked about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ...errors import Answer, ClipftError
from ..files.visible import shown
from .folders import FOLDER
from .listing import Listing
from .source import SourceRequest
from .table_folder import has_class_folders, list_one, tables_in

_HALF = 0.5
_N_NAMED = 6


def _evidence(text: str) -> str:
    path = Path(text)
    if not text or not path.is_dir() or (path / "dataset.json").exists() or not tables_in(path):
        return ""
    return f"{text} is a folder of folders, with a table beside them" if has_class_folders(path) else ""


def list_folder_and_table(request: SourceRequest) -> Listing:
    """The images by their folders. Raises Question where a table of half of them or more gives other classes."""
    listing = FOLDER.read(request)
    if request.options.paths:
        return listing
    root = request.path
    by_folder = {item.file: item.label for item in listing.items}
    for path in tables_in(root):
        try:
            table = list_one(path, request, None, root)
        except ClipftError:
            continue  # it holds something else
        pairs = {(by_folder[item.file], item.label) for item in table.items if item.file in by_folder}
        n_named = sum(item.file in by_folder for item in table.items)
        if n_named < _HALF * len(by_folder) or len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs}):
            continue
        raise request.question(
            f"{root}: its folders and {path.relative_to(root)} give images different classes",
            [
                Answer(f"the classes are the folders: {_named(listing)}", {"paths": listing.read_as["paths"]}),
                Answer(f"the classes stand in the table: {_named(table)}", {"source": str(path)}),
            ],
        )
    return listing


def _named(listing: Listing) -> str:
    labels = listing.labels()
    return ", ".join(shown(label, 40) for label in labels[:_N_NAMED]) + (", ..." if len(labels) > _N_NAMED else "")


FOLDER_AND_TABLE = dataclasses.replace(FOLDER, name="folder-and-table", evidence=_evidence, read=list_folder_and_table)
