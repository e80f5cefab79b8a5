"""The command that reads the same again with something changed: for hints that can be pasted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config.evaluate import EvaluateConfig
from ...config.load import yaml_value
from ...config.prepare import PrepareConfig, PrepareOptions
from ...config.reading import ReadOptions
from ..files.visible import quoted

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
    "split_lists",
    "image_root",
    "encoding",
    "archive",
    "in_place",
)
"""Keys of `prepare` with an option of their own; others are given by --set."""


EVALUATE_FLAGS = ("checkpoint", "split", "output_dir", "zero_shot", "base", "batch_size")
"""Keys of `evaluate` with an option of their own, beside --data-dir."""

READ_FLAGS = frozenset(FLAGS) & ReadOptions.model_fields.keys()
"""Keys of `evaluate.read` with an option of their own; others are given by --set."""


class MeasureOptions(PrepareOptions):
    """What images that nobody prepared are read with where `clipft evaluate` reads them, as `asked` says."""

    asked: EvaluateConfig


def same_again(config: PrepareConfig, *more: str) -> str:
    """The command with all that was asked for, from options and file, and `more`, which replaces; quoted for a shell.

    `clipft prepare`, or `clipft evaluate` where that reads the images: then `more` are options that both take.
    """
    options = config.prepare
    if isinstance(options, MeasureOptions):
        return _evaluate_again(options, *(word.replace("prepare.", "evaluate.read.", 1) for word in more))
    words = ["clipft", "prepare", *([options.source] if options.source else [])]
    values = options.model_dump(mode="json", exclude={"source"})
    defaults = type(options)().model_dump(mode="json")
    is_many = {key for key, value in defaults.items() if isinstance(value, list)}
    replaced = {key for key in values if key not in is_many and "--" + key.replace("_", "-") in more}
    asked = [key for key in values if key in options.model_fields_set and values[key] != defaults[key]]
    for key in (key for key in asked if key not in replaced):
        words += _flag(key, values[key]) if key in FLAGS else _set(f"prepare.{key}", values[key])
    if config.seed:
        words += ["--seed", str(config.seed)]
    return " ".join(map(quoted, (*words, *more)))


def _evaluate_again(options: MeasureOptions, *more: str) -> str:
    asked = options.asked
    evaluated, read = asked.evaluate, ReadOptions()
    words = ["clipft", "evaluate", "--data-dir", options.source or ""]
    for key, value in evaluated.model_dump(mode="json", include=set(EVALUATE_FLAGS), exclude_defaults=True).items():
        words += _flag(key, value)
    values = options.model_dump(mode="json", include=set(ReadOptions.model_fields))
    for key, value in values.items():
        if value != read.model_dump(mode="json")[key]:
            words += _flag(key, value) if key in READ_FLAGS else _set(f"evaluate.read.{key}", value)
    if asked.hardware.device != type(asked.hardware)().device:
        words += _flag("device", asked.hardware.device)
    if asked.seed:
        words += _set("seed", asked.seed)
    if evaluated.zero_shot:
        model = asked.model.model_dump(mode="json", exclude_defaults=True)
        words += [word for key, value in model.items() for word in _set(f"model.{key}", value)]
    return " ".join(map(quoted, (*words, *more)))


def _set(key: str, value: object) -> list[str]:
    return ["--set", f"{key}={yaml_value(value)}"]


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


def answered_for_evaluate(config: EvaluateConfig, settings: Mapping[str, Any]) -> EvaluateConfig:
    """As `answered`, of the keys of `evaluate`: a table in place of its folder is another --data-dir."""
    place = {"data_dir": Path(settings["source"])} if "source" in settings else {}
    read = {key: value for key, value in settings.items() if key != "source"}
    evaluated = config.evaluate.model_copy(update={**place, "read": config.evaluate.read.model_copy(update=read)})
    return config.model_copy(update={"evaluate": evaluated})
