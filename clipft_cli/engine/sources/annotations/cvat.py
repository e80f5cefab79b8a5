"""CVAT for images 1.1: XML in which an image has tags, or shapes with labels."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ....errors import DataError
from ...files.regular import open_regular
from ...tables.table import Table
from .format import Format, images_with_classes

_START = 1 << 16
_SHAPES = ("box", "polygon", "polyline", "points", "mask", "cuboid", "ellipse", "skeleton")


def _evidence(path: Path) -> str:
    if path.suffix.lower() != ".xml":
        return ""
    try:
        with open_regular(path) as file:
            start = file.read(_START) or b""
    except OSError:
        return ""
    return f"{path.name} is XML of CVAT's annotations" if b"<annotations" in start else ""


def _table(path: Path, encoding: str | None) -> Table:
    try:
        images = ElementTree.parse(path).getroot().iter("image")
        found = [(image.get("name") or "", image) for image in images]
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"{path}: is no readable XML: {error}") from None
    n_shapes, rows = 0, []
    for name, image in found:
        tags = [tag.get("label") for tag in image.iter("tag")]
        shapes = [shape.get("label") for kind in _SHAPES for shape in image.iter(kind)]
        n_shapes += len(shapes)
        labels = dict.fromkeys(tags or shapes)
        rows += [(f"image {image.get('id')}", name, label) for label in (labels or [None])]
    note = f"{n_shapes:,} shapes are not used: an image's class is that of its tags, else of its shapes"
    return images_with_classes(rows, [note if n_shapes else ""])


CVAT = Format("cvat", "CVAT", _evidence, _table)
