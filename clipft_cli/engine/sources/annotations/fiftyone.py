"""FiftyOne's image classification export: labels.json beside data/."""

from __future__ import annotations

from pathlib import Path

from ...tables.table import Table
from .format import Format, images_with_classes
from .json_file import json_object


def _evidence(path: Path) -> str:
    content = json_object(path)
    is_export = isinstance(content.get("labels"), dict) and "classes" in content
    return f"{path.name} is JSON that holds classes, and a label for each image" if is_export else ""


def _table(path: Path, encoding: str | None) -> Table:
    content = json_object(path)
    names = content["classes"]

    def name_of(label: object) -> object:
        return names[label] if isinstance(label, int) and not isinstance(label, bool) and names else label

    return images_with_classes((f"image {image}", image, name_of(label)) for image, label in content["labels"].items())


FIFTYONE = Format("fiftyone", "FiftyOne", _evidence, _table)
