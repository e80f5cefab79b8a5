"""The command that prepares the same again with something changed: for hints that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ...config.load import yaml_value
from ...config.prepare import PrepareConfig

FLAGS = (
    "output_dir",
    "num_classes",
    "samples_per_class",
    "split",
    "include",
    "exclude",
    "merge",
    "min_per_class",
    "min_size",
    "paths",
    "image_column",
    "label_column",
    "split_column",
    "group_column",
    "holdout_column",
    "image_root",
    "encoding",
    "archive",
    "in_place",
)
"""Keys of `prepare` with an option of their own; others are given by --set."""


def same_again(config: PrepareConfig, *more: str) -> str:
    """`clipft prepare` with all that was asked for, from options and file, and `more`; quoted for a shell."""
    options = config.prepare
    words = ["clipft", "prepare", *([options.source] if options.source else [])]
    values = options.model_dump(mode="json", exclude={"source"})
    defaults = type(options)().model_dump(mode="json")
    for key in (key for key in values if key in options.model_fields_set and values[key] != defaults[key]):
        words += _flag(key, values[key]) if key in FLAGS else ["--set", f"prepare.{key}={yaml_value(values[key])}"]
    if config.seed:
        words += ["--seed", str(config.seed)]
    return shlex.join([*words, *more])


def _flag(key: str, value: object) -> list[str]:
    flag = "--" + key.replace("_", "-")
    if key == "split" and isinstance(value, list):
        return [flag, "/".join(f"{share:g}" for share in value)]
    if isinstance(value, list):
        return [word for one in value for word in (flag, str(one))]
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, str(value)]


def answered(config: PrepareConfig, settings: Mapping[str, Any]) -> PrepareConfig:
    """The same with these keys of `prepare` as an answer to a question says."""
    return config.model_copy(update={"prepare": config.prepare.model_copy(update=dict(settings))})
