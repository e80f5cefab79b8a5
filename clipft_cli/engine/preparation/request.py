"""What was asked for and of which images, as a fingerprint: the same again needs no work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from ...config.prepare import PrepareConfig
from ..sources.listing import Item

_NOT_ASKED_FOR = ("output_dir", "source", "archive")
_FIRST_KEYS = (
    "num_classes",
    "samples_per_class",
    "split",
    "include",
    "exclude",
    "image_column",
    "label_column",
    "split_column",
    "near_duplicate_distance",
    "in_place",
)
"""Keys of the first version: its fingerprints hold them all, so that a key added later changes none of them."""


def identities(items: Iterable[Item]) -> list[str]:
    """A text for each image that differs where its place, class, split, group or size in bytes does."""
    return [_identity(item) for item in items]


def _identity(item: Item) -> str:
    try:
        size = item.file.stat().st_size
    except OSError:
        size = -1
    group = "" if item.group is None else f"|{item.group}"
    return f"{item.name}|{item.label}|{item.split}|{size}{group}"


def asked_options(config: PrepareConfig) -> dict[str, Any]:
    """The options that matter and differ from their defaults, as plain values."""
    return config.prepare.model_dump(mode="json", exclude=set(_NOT_ASKED_FOR), exclude_defaults=True)


def fingerprint(config: PrepareConfig, content: Sequence[str]) -> str:
    """sha256 over the options that matter and `content`, the images: their identities, or what will be drawn."""
    first = config.prepare.model_dump(mode="json", include=set(_FIRST_KEYS))
    later = config.prepare.model_dump(mode="json", exclude={*_FIRST_KEYS, *_NOT_ASKED_FOR}, exclude_defaults=True)
    options = {**first, **later}
    text = json.dumps([options, config.seed, list(content)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
