"""The contract of an export format: what it refuses, what it writes, and how what was written is read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...config.export import ExportOptions, FormatName

if TYPE_CHECKING:
    from .source import Source

Answer = Callable[[Sequence[Image.Image]], np.ndarray]
"""Decoded RGB pictures of any size -> (N, C) probabilities, by the format's own runtime and transform."""


@dataclass(frozen=True)
class Reader:
    """One way of using what was written. `bound`: the largest difference of a probability that is accepted.

    No bound holds for one of eight-bit weights: it is measured `beside` the reader of that name, and the share of equal
    answers decides.
    """

    name: str
    runtime: str
    answer: Answer
    bound: float
    beside: str | None = None


@dataclass(frozen=True)
class Format:
    """One form in which a model leaves.

    `why_not(source)` is None, or the reason why this model has no equal there, in a few words. `require()` raises
    MissingExtraError where a package is missing. `write(source, folder, options)` fills an empty folder.
    `readers(folder, source)` load what lies there with the format's own runtime, and of the source no more than a base
    that is not in it. `usage` is how it is called, five lines or so
    of a `language`, for the model card; `packages` is what must be installed for it, or `needs` says it in a sentence.
    `library` and `tags` are a hub's words. `has_int8`: eight-bit weights can be asked for.
    """

    name: FormatName
    title: str
    write: Callable[[Source, Path, ExportOptions], None]
    readers: Callable[[Path, Source], tuple[Reader, ...]]
    usage: str
    packages: tuple[str, ...]
    library: str
    tags: tuple[str, ...] = ()
    language: str = "python"
    needs: str = ""
    has_int8: bool = False
    why_not: Callable[[Source], str | None] = lambda source: None
    require: Callable[[], None] = lambda: None
