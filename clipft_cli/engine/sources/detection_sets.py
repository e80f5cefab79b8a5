"""Folders made for finding or outlining things in images: refused by what they are, since boxes are no classes."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from ...errors import DataError
from ..files.regular import open_regular
from ..files.visible import shown
from .listing import Listing
from .source import Source, SourceRequest, whole_path
from .table_folder import has_class_folders
from .tree import is_ignored

_YOLO_LINE = re.compile(rb"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*", re.IGNORECASE)
_N_PROBED = 20
_MAX_DEPTH = 3


def _kind(root: Path) -> str:
    """What the folder is, in words; empty where it is none of these, or its images lie in class folders."""
    for folder in _folders(root):
        what = _boxes_in(folder)
        if what:
            where = shown(str(folder.relative_to(root)))
            return "" if has_class_folders(root) else f"a detection set {what} in {where}"
    return ""


def _boxes_in(folder: Path) -> str:
    if any(b"<object>" in start for start in _start_of_files(folder, ".xml")):
        return "as Pascal VOC: XML files with boxes"
    texts = [start for start in _start_of_files(folder, ".txt") if start.strip()]
    boxes = [start for start in texts if all(map(_YOLO_LINE.fullmatch, _whole_lines(start)))]
    return "as YOLO: a text of boxes or outlines for each image" if boxes and 2 * len(boxes) >= len(texts) else ""


def _whole_lines(start: bytes) -> list[bytes]:
    lines = start.strip().split(b"\n")
    return lines[:-1] if len(lines) > 1 else lines


def _folders(root: Path) -> list[Path]:
    found, waiting = [root], [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            inner = [folder / one.name for one in os.scandir(folder) if one.is_dir() and not is_ignored(one.name)]
        except OSError:
            continue
        inner.sort()
        found += inner
        if depth + 1 < _MAX_DEPTH:
            waiting += [(one, depth + 1) for one in inner]
        if len(found) > 1000:
            break
    return found


def _start_of_files(folder: Path, suffix: str) -> list[bytes]:
    """The first bytes of some files with a suffix."""
    starts = []
    try:
        names = sorted(islice((one.name for one in os.scandir(folder) if one.name.lower().endswith(suffix)), _N_PROBED))
    except OSError:
        return []
    for name in names:
        try:
            with open_regular(folder / name) as file:
                starts.append(file.read(4096) or b"")
        except OSError:
            continue
    return starts


def _evidence(text: str) -> str:
    path = Path(text)
    return _kind(path) if text and path.is_dir() and not (path / "dataset.json").exists() else ""


def _refuse(request: SourceRequest) -> Listing:
    raise DataError(
        f"{request.path}: is {_kind(request.path)}",
        hint="clipft learns one class a whole image: sort the images into one folder a class, or write a table with"
        " the columns image and label",
    )


DETECTION_SETS = Source("detection", "", _evidence, _refuse, origin=whole_path)
