"""Label Studio: a JSON list of tasks with the choices that people made. Its CSV and JSON-MIN are tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import DataError
from ...tables.table import Table
from .format import Format, images_with_classes
from .json_file import json_records


def _evidence(path: Path) -> str:
    tasks = json_records(path)
    is_export = bool(tasks) and all("data" in task and (task.keys() & {"annotations", "completions"}) for task in tasks)
    return f"{path.name} is a JSON list of tasks with annotations" if is_export else ""


def _table(path: Path, encoding: str | None) -> Table:
    tasks = json_records(path)
    kinds = {result.get("type") for task in tasks for result in _results(task)}
    if kinds and "choices" not in kinds:
        raise DataError(
            f"{path}: its annotations are {', '.join(sorted(map(str, kinds)))}, not one choice an image",
            hint="clipft learns one class an image: label the images with Choices, and export again",
        )
    rows = []
    for number, task in enumerate(tasks, start=1):
        image = _image(task["data"])
        chosen = [choice for result in _results(task) for choice in result.get("value", {}).get("choices", ())]
        rows += [(f"task {task.get('id', number)}", image, label) for label in (dict.fromkeys(chosen) or [None])]
    return images_with_classes(rows)


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What was said of a task, by all who said something; those who skipped it said nothing."""
    said = task.get("annotations") or task.get("completions") or []
    return [result for one in said if not one.get("was_cancelled") for result in one.get("result", ())]


def _image(data: dict[str, Any]) -> str:
    """The field that names the image: `image`, or the only one that is text."""
    for name in ("image", "img", "url", "ocr"):
        if isinstance(data.get(name), str):
            return str(data[name])
    return next(str(value) for value in data.values() if isinstance(value, str))


LABEL_STUDIO = Format("label-studio", "Label Studio", _evidence, _table)
