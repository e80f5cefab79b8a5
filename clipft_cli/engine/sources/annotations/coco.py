"""COCO: one JSON of images, categories and annotations. The categories of an image's annotations are its classes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from ...tables.table import Table
from .format import Format, images_with_classes
from .json_file import json_object


def _evidence(path: Path) -> str:
    is_coco = {"images", "annotations", "categories"} <= json_object(path).keys()
    return f"{path.name} is JSON that holds images, annotations and categories" if is_coco else ""


def _table(path: Path, encoding: str | None) -> Table:
    content = json_object(path)
    names = {category["id"]: category["name"] for category in content["categories"]}
    classes: dict[object, dict[str, None]] = defaultdict(dict)
    n_boxes = 0
    for annotation in content["annotations"]:
        classes[annotation["image_id"]][names[annotation["category_id"]]] = None
        n_boxes += bool(annotation.get("bbox") or annotation.get("segmentation"))
    rows = [
        (f"image {image['id']}", str(image["file_name"]), label)
        for image in content["images"]
        for label in (classes.get(image["id"]) or [None])
    ]
    note = f"{n_boxes:,} boxes and outlines are not used: an image's class is that of its annotations"
    return images_with_classes(rows, [note if n_boxes else ""])


COCO = Format("coco", "COCO", _evidence, _table)
