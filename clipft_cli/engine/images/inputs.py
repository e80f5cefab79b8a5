"""What a person names to have classified: files, folders, patterns, a list; made into one stream of files."""

from __future__ import annotations

import glob
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ...errors import DataError
from ..files.amounts import count
from ..files.pictures import N_BYTES, is_binary, is_picture, starts_like_image
from .decode import MAX_BYTES, ImageError, decode_image

if TYPE_CHECKING:
    from ..sources.tree import Tree

STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|file)://", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ImageInput:
    """One image: a file as it was named, or a `picture` in memory under the name of its place.

    `problem` is why it is none, where that is known without reading it.
    """

    name: str
    problem: str | None = None
    picture: Image.Image | None = None


@dataclass
class Inputs:
    """A stream of files, in the order they were named; folders in order of path, what is named twice twice.

    `skipped` counts, by suffix, the files of a folder that are no images.
    """

    names: Iterable[str | ImageInput]
    skipped: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[ImageInput]:
        for name in self.names:
            yield from [name] if isinstance(name, ImageInput) else self._expand(name)

    def _expand(self, name: str) -> Iterator[ImageInput]:
        if name.startswith("~") and not os.path.lexists(name):
            name = os.path.expanduser(name)
        if _ADDRESS.match(name):
            yield ImageInput(name, "is a web address: download the picture, then name the file")
        elif "\0" in name or not name:
            yield ImageInput(name, "is no file name")
        elif os.path.isdir(name):
            yield from self._folder(name)
        elif _MAGIC.search(name) and not os.path.lexists(name):
            yield from self._pattern(name)
        else:
            yield ImageInput(name)

    def _pattern(self, pattern: str) -> Iterator[ImageInput]:
        found = sorted(glob.glob(pattern, recursive=True))
        if not found:
            yield ImageInput(pattern, "no file matches this pattern")
        for name in found:
            if not os.path.isdir(name):
                yield ImageInput(name)
            elif "**" not in pattern:  # with ** the files inside are matched themselves
                yield from self._folder(name)

    def _folder(self, name: str) -> Iterator[ImageInput]:
        from ..sources.problems import READ_ALREADY
        from ..sources.tree import walk  # every kind of source, which one image does without

        try:
            tree = walk(Path(name))
        except DataError as error:
            yield ImageInput(name, error.message.removeprefix(f"{name}: "))
            return
        n_images = 0
        for file in tree.files:
            if is_picture(Path(name, file)):
                n_images += 1
                yield ImageInput(os.path.join(name, file))
            else:
                self.skipped[file.suffix.lower() or "no suffix"] += 1
        for problem in tree.problems:
            if problem.reason == READ_ALREADY:
                self.skipped["links to folders read already"] += 1
                continue
            yield ImageInput(os.path.join(name, problem.file), f"{problem.reason}: {problem.detail}")
        if not n_images:
            yield ImageInput(name, _no_images(tree))


def _no_images(tree: Tree) -> str:
    if not tree.files:
        return "no images in this folder"
    return f"no images in this folder ({count(len(tree.files), 'file')} of other kinds)"


def lines_of(stream: Iterable[bytes]) -> Iterator[str]:
    """File names of a list, one a line; blank lines are left out, bytes that are no UTF-8 are kept."""
    for line in stream:
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name.strip():
            yield name


def named_on(stream: io.BufferedIOBase) -> Iterator[str | ImageInput]:
    """What is piped in: the file names of a list, one a line, or the one image whose content it is."""
    start = stream.read1(N_BYTES)
    if starts_like_image(start) or is_binary(start):
        yield _piped(start + stream.read(MAX_BYTES))
        return
    yield from lines_of(chain(io.BytesIO(start + stream.readline()), stream))


def _piped(content: bytes) -> ImageInput:
    try:
        return ImageInput(STANDARD_INPUT, picture=decode_image(content))
    except ImageError as error:
        return ImageInput(STANDARD_INPUT, f"{error.text}; a list of file names, or the content of one image, is read")
