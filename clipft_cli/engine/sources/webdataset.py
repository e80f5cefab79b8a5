"""WebDataset: tars with the files of an example side by side, `0001.jpg` and `0001.cls`; one, or a folder of them."""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ...config.data import SplitName
from ...errors import DataError
from ..files.pictures import is_picture
from ..files.regular import regular_text
from ..files.visible import shown
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from ..tables.cells import ManyLabels, label_text
from .archive_members import holds_nothing
from .archives import unpack
from .listing import Item, Listing
from .problems import Problem
from .source import Source, SourceRequest, whole_path
from .table_folder import split_of_name
from .tree import walk

_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_N_PROBED = 8
_LABEL_ENDS = ("cls", "cls.txt", "label", "label.txt", "target", "class")
_JSON_FIELDS = ("label", "class", "class_name", "category", "cls", "target")
_NAME_FILES = ("classnames.txt", "classes.txt", "class_names.txt")


def _shards(path: Path) -> list[Path]:
    """The tars at a path, in the order of their names; none of a folder that holds pictures itself."""
    if path.is_file():
        return [path] if path.name.lower().endswith(_SUFFIXES) else []
    tars = sorted(one for pattern in ("*", "*/*") for one in path.glob(pattern) if one.name.lower().endswith(_SUFFIXES))
    return [] if tars and any(is_picture(path / one) for one in walk(path).files) else tars


def _is_shard(path: Path) -> bool:
    """Whether one of the first files is a class of its own, or a JSON, beside a picture with the same key."""
    if holds_nothing(path):
        return False
    try:
        with tarfile.open(path, "r:*") as tar:
            names = [member.name for member in islice(tar, _N_PROBED) if member.isreg()]
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return False
    ends: dict[str, set[str]] = defaultdict(set)
    for name in names:
        key, end = _key(name)
        ends[key].add(end)
    return any(len(found) > 1 and found & {*_LABEL_ENDS, "json"} for found in ends.values())


def _key(name: str) -> tuple[str, str]:
    """The key of an example and what kind of its files this is: all behind the first dot of the name."""
    folder, slash, file = name.rpartition("/")
    stem, _, end = file.partition(".")
    return folder + slash + stem, end.lower()


def _evidence(text: str) -> str:
    path = Path(text)
    shards = _shards(path) if text and path.exists() else []
    is_set = bool(shards) and _is_shard(shards[0])
    return f"{shards[0].name} holds pictures beside files of their class, with equal names" if is_set else ""


def list_webdataset(request: SourceRequest) -> Listing:
    """Every picture with the class in the file beside it. Raises DataError for a damaged tar, or several classes."""
    path = request.path
    listing = Listing(path.name.partition(".")[0], str(path))
    names = _class_names(path if path.is_dir() else path.parent)
    shards = _shards(path)
    splits = [split_of_name(shard.stem) or split_of_name(shard.parent.name) for shard in shards]
    for n, (shard, split) in enumerate(zip(shards, splits, strict=True), start=1):
        request.on_progress("unpacking", n, len(shards))
        unpacked = unpack(shard, request.work / f"shard-{n}", encoding=request.options.encoding)
        listing.problems += unpacked.problems
        given = split if len(set(splits)) > 1 else None
        for found in _examples(unpacked.folder, shard.name, names, given):
            if isinstance(found, Item):
                listing.items.append(found)
            else:
                listing.problems.append(found)
    if not listing.items:
        raise DataError(
            f"{path}: no picture has a class beside it",
            hint="an example is a picture and a file of its class, such as 0001.jpg and 0001.cls",
        )
    if names:
        listing.notes.append("the numbers of classes are lines of a file of names beside the shards, counted from 0")
    return listing


def _examples(folder: Path, shard: str, names: list[str], split: SplitName | None) -> Iterator[Item | Problem]:
    examples: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in walk(folder).files:
        key, end = _key(file.as_posix())
        examples[key][end] = folder / file
    for key, files in examples.items():
        pictures = [
            file for end, file in files.items() if end != "json" and end not in _LABEL_ENDS and is_picture(file)
        ]
        where = f"{shard}/{key}"
        if not pictures:
            yield Problem(where, "example without a picture")
            continue
        try:
            label = _label(files, names)
        except ManyLabels as error:
            raise DataError(
                f"{where}: the class is {error.args[0]}", hint="clipft learns one class an image: write one for each"
            ) from None
        if label is None:
            yield Problem(where, "example without a class")
        else:
            yield Item(pictures[0], f"{where}{pictures[0].suffix}", class_name(label), split)


def _label(files: Mapping[str, Path], names: list[str]) -> str | None:
    text: Any = next((_text(files[end]) for end in _LABEL_ENDS if end in files), None)
    if text is None and "json" in files:
        try:
            said = json.loads(_text(files["json"]))
        except (ValueError, RecursionError):
            return None
        fields = said if isinstance(said, dict) else {}
        text = next((fields[name] for name in _JSON_FIELDS if name in fields), None)
    label = label_text(text)
    if label is not None and names and re.fullmatch(r"\d{1,6}", label) and int(label) < len(names):
        return names[int(label)]
    return label


def _text(path: Path) -> str:
    try:
        return regular_text(path).strip()
    except (OSError, ValueError):
        return ""


def _class_names(folder: Path) -> list[str]:
    for name in _NAME_FILES:
        lines = [shown(line, 1000) for line in _text(folder / name).splitlines() if line.strip()]
        if lines:
            return lines
    return []


WEBDATASET = Source(
    "webdataset",
    "WebDataset",
    _evidence,
    list_webdataset,
    data_folder=lambda text: folder_name(Path(text).name.partition(".")[0]) or "images",
    origin=whole_path,
)
