"""A JSON object of images, `{"a.jpg": "cat"}`, or of classes, `{"cat": ["a.jpg", "b.jpg"]}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ....errors import DataError
from ...files.pictures import image_suffixes
from ...files.regular import regular_bytes
from ...tables.json_rows import of_objects
from ...tables.table import Table
from ..split_words import split_word
from .format import Format, images_with_classes
from .json_file import json_object

_N_PROBED = 50
_IMAGE = "image"


def _evidence(path: Path) -> str:
    content = json_object(path)
    if _names_images(list(islice(content, _N_PROBED))):
        return f"{path.name} is a JSON object that says something of each image"
    return f"{path.name} is a JSON object with the images of each class" if _lists_images(content) else ""


def _names_images(texts: Sequence[Any]) -> bool:
    suffixes = image_suffixes()
    return bool(texts) and all(isinstance(text, str) and Path(text).suffix.lower() in suffixes for text in texts)


def _lists_images(content: Mapping[str, Any]) -> bool:
    """Whether each key has a list of images; keys that are splits say nothing of classes."""
    lists = list(content.values())
    if not all(isinstance(one, list) for one in lists) or all(map(split_word, content)):
        return False
    return _names_images([text for one in lists for text in one][:_N_PROBED])


def _table(path: Path, encoding: str | None) -> Table:
    pairs = _pairs(path)
    if not _names_images([key for key, _ in pairs[:_N_PROBED]]):
        return images_with_classes((f"key {key!r}", image, key) for key, images in pairs for image in images)
    if all(isinstance(value, dict) and _IMAGE not in value for _, value in pairs):
        return of_objects([(f"key {key!r}", {_IMAGE: key, **value}) for key, value in pairs])
    return images_with_classes((f"key {key!r}", key, value) for key, value in pairs)


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """The keys of the object with their values, also those that stand twice. Raises DataError where one inside does."""
    objects: list[list[tuple[str, Any]]] = []

    def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        objects.append(pairs)
        return dict(pairs)

    json.loads(regular_bytes(path), object_pairs_hook=kept)
    if any(len(dict(inner)) < len(inner) for inner in objects[:-1]):
        raise DataError(f"{path}: an object in it has a key twice", hint="which of the two counts is for you to say")
    return objects[-1]


JSON_MAP = Format("json-map", "JSON", _evidence, _table)
