"""`hf:owner/name` as a source: an image classification data set of the Hugging Face hub, through `datasets`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...config.prepare import PrepareOptions
from ...errors import ConfigError, DataError, DownloadError, MissingExtraError
from ..labels.names import class_name
from ..tables.cells import ManyLabels, label_text
from .column_words import IMAGE, LABEL, is_called
from .listing import Item, Listing
from .problems import Problem
from .source import OnProgress, Source
from .split_words import split_word
from .tables import image_suffix

_NAME = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[^#\s]+))?(#(?P<config>\S+))?")


def list_hub(options: PrepareOptions, work: Path, on_progress: OnProgress) -> Listing:
    """Every image of the data set, written to `work` as the bytes the hub holds; its splits are kept."""
    source = options.source or ""
    found = _NAME.fullmatch(source)
    if found is None:
        raise ConfigError(f"{source}: a data set of the hub is written hf:owner/name, or hf:owner/name@revision#config")
    splits = _load(found["name"], found["revision"], found["config"])
    listing = Listing(found["name"].rpartition("/")[2], source)
    work.mkdir(parents=True)
    for split_name, rows in splits.items():
        word = split_word(split_name)
        split = word.split if word else None
        if split is None:
            listing.notes.append(f"split '{split_name}' is neither train, val nor test: its images are split by seed")
        image, label = _columns(source, rows, options)
        names = getattr(rows.features[label], "names", None)
        for n, row in enumerate(_undecoded(rows, image)):
            where = f"{split_name}/{n}"
            text = _label_text(row[label], names)
            data = row[image].get("bytes") if isinstance(row[image], dict) else row[image]
            if not data or text is None:
                listing.problems.append(Problem(where, "row without an image" if not data else "row without a class"))
                continue
            file = work / f"{split_name}-{n:08d}{image_suffix(data[:16])}"
            file.write_bytes(data)
            listing.items.append(Item(file, where, class_name(text), split))
            if n % 100 == 0:
                on_progress(f"reading {source}", n, len(rows))
    if not listing.items:
        raise DataError(f"{source}: holds no images with a class")
    return listing


def _load(name: str, revision: str | None, config: str | None) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(f"hf:{name} needs the package datasets", hint="pip install 'clipft-cli[hf]'") from None
    try:
        return datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # the hub's client raises its own types and those of three HTTP libraries
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DownloadError(
            f"hf:{name}: {text}", hint="check the name and the network; or give a local folder of images"
        ) from None


def _columns(source: str, rows: Any, options: PrepareOptions) -> tuple[str, str]:
    names = list(rows.features)
    image = options.image_column or next((n for n in names if is_called(n, IMAGE)), None)
    label = options.label_column or next((n for n in names if is_called(n, LABEL)), None)
    if image not in names or label not in names:
        raise ConfigError(
            f"{source}: columns for image and class are not clear; there are: {', '.join(names)}",
            hint="name them with `--set prepare.image_column=NAME` and `--set prepare.label_column=NAME`",
        )
    return str(image), str(label)


def _undecoded(rows: Any, image: str) -> Any:
    import datasets

    return rows.cast_column(image, datasets.Image(decode=False))


def _label_text(value: Any, names: list[str] | None) -> str | None:
    if value is None or value == -1:
        return None
    if names and isinstance(value, int) and value < len(names):
        return names[value]
    try:
        return label_text(value)
    except ManyLabels as error:
        raise DataError(
            f"the class of an image is {error.args[0]}",
            hint="clipft learns one class an image: name another column with --label-column",
        ) from None


HUB = Source(
    "hub",
    "hf:owner/name",
    lambda text: f"{text} names a data set of the Hugging Face hub" if text.startswith("hf:") else "",
    lambda request: list_hub(request.options, request.work / "hub", request.on_progress),
)
