"""VGG Image Annotator, version 2: JSON of files with attributes. The class is the attribute that every file has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....errors import DataError
from ...files.visible import shown
from ...tables.table import Table
from .format import Format, images_with_classes
from .json_file import json_object


def _files(path: Path) -> list[Mapping[str, Any]]:
    """The entries of a project, or of the annotations exported from one."""
    content = json_object(path)
    entries = content.get("_via_img_metadata", content)
    found = list(entries.values()) if isinstance(entries, dict) else []
    are_files = all(isinstance(one, dict) and {"filename", "regions", "file_attributes"} <= one.keys() for one in found)
    return found if found and are_files else []


def _evidence(path: Path) -> str:
    return f"{path.name} is JSON of files with regions and file_attributes" if _files(path) else ""


def _table(path: Path, encoding: str | None) -> Table:
    files = _files(path)
    of_files = Counter(name for file in files for name in file["file_attributes"])
    of_regions = Counter(
        name for file in files for region in _regions(file) for name in region.get("region_attributes", {})
    )
    names = of_files or of_regions
    if not names:
        raise DataError(f"{path}: no file and no region has an attribute, so there is no class")
    (best, n), *others = names.most_common()
    if any(count == n for _, count in others):
        named = ", ".join(shown(name, 40) for name, count in names.most_common() if count == n)
        raise DataError(
            f"{path}: more than one attribute may hold the class: {named}",
            hint="export it with one attribute, or write a table with the columns image and label",
        )
    rows = []
    for file in files:
        said = (
            [file["file_attributes"]]
            if of_files
            else [region.get("region_attributes", {}) for region in _regions(file)]
        )
        labels = dict.fromkeys(label for one in said for label in _labels(one.get(best)))
        rows += [(f"file {file['filename']}", str(file["filename"]), label) for label in (labels or [None])]
    return images_with_classes(rows, [f"class: attribute {shown(best, 60)}"])


def _regions(file: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    regions = file["regions"]
    return list(regions.values()) if isinstance(regions, dict) else list(regions or ())


def _labels(value: Any) -> list[str]:
    """A text, or the boxes that are ticked."""
    if isinstance(value, dict):
        return [name for name, is_ticked in value.items() if is_ticked]
    return [str(value)] if value not in (None, "") else []


VIA = Format("via", "VIA", _evidence, _table)
