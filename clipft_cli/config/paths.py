"""One rule for every path in a file, `--set` and an option: `~` is the home folder, and a relative path is looked for
from the working folder, then, where a file names it, from that file's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

READ = frozenset(
    {
        "data.dir",
        "model.name",
        "model.pretrained",
        "prepare.source",
        "prepare.archive",
        "prepare.image_root",
        "evaluate.base",
        "evaluate.checkpoint",
        "evaluate.data_dir",
        "evaluate.read.image_root",
        "predict.base",
        "predict.checkpoint",
        "predict.data_dir",
        "compare.names",
        "compare.retention",
        "export.base",
        "export.checkpoint",
        "export.data_dir",
        "export.runtime",
        "serve.export",
    }
)
"""Keys whose value is, or may be, the place of something that is there already."""

WRITTEN = frozenset(
    {
        "output_dir",
        "model.cache_dir",
        "cache.dir",
        "prepare.output_dir",
        "evaluate.output_dir",
        "predict.embeddings",
        "predict.output",
        "compare.output_dir",
        "export.output_dir",
    }
)
"""Keys whose value is a place that may still have to be made: from the working folder, always."""

_MAY_BE_WORDS = frozenset({"model.name", "model.pretrained", "prepare.source", "compare.names"})


def anchored(
    values: Mapping[str, Any], of_file: Set[tuple[str, ...]], folder: Path, above: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`values` with every path made one that holds from the working folder.

    `of_file` are the keys that stand in a configuration file, which lies in `folder`.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        place = (*above, name)
        if isinstance(value, Mapping):
            found[name] = anchored(value, of_file, folder, place)
        else:
            found[name] = anchored_value(".".join(map(str, place)), value, folder if place in of_file else None)
    return found


def anchored_value(key: str, value: Any, folder: Path | None) -> Any:
    """The value of one key, a path or a list of them; what is no path stays as it is."""
    if key not in READ | WRITTEN:
        return value
    if isinstance(value, list | tuple):
        return [anchored_value(key, item, folder) for item in value]
    if not isinstance(value, str | Path) or "\0" in str(value):
        return value
    text = os.path.expanduser(value)
    if key in WRITTEN or folder is None or os.path.isabs(text) or os.path.exists(text):
        return text
    if key in _MAY_BE_WORDS and not _looks_like_a_path(text):
        return text
    beside = os.path.join(folder, text)
    return beside if os.path.exists(beside) else text


def _looks_like_a_path(text: str) -> bool:
    return "://" not in text and (os.sep in text or "/" in text or os.path.splitext(text)[1].lower() in _SUFFIXES)


_SUFFIXES = frozenset(
    (
        ".json",
        ".safetensors",
        ".pt",
        ".pth",
        ".bin",
        ".ckpt",
        ".npz",
        ".csv",
        ".jsonl",
        ".parquet",
        ".zip",
        ".tar",
        ".gz",
    )
)
