"""The pictures that an export is checked on, and what the model itself answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...config.evaluate import EvaluateConfig, EvaluateOptions
from ...config.export import ExportConfig
from ...errors import DataError
from ..checkpoint.answers import probabilities
from ..checkpoint.class_match import match_classes
from ..checkpoint.load import Loaded
from ..checkpoint.subject import Subject, data_dir_of
from ..events import Note, OnEvent
from ..files.visible import visible
from ..images.decode import ImageError, decode_image
from ..manifest import Manifest, read_manifest
from ..model.precision import Precision
from .source import CPU, Source

BATCH = 16
N_DRAWN = 32


@dataclass(frozen=True)
class Probe:
    """Pictures, on disk or drawn here. `labels` (N,) are numbers of the model's classes, None where nobody knows them.

    `where` says in words what they are; `expected` (N, C) are the model's own probabilities, in float32. `data_name`
    and `data_digest` are of the data set, empty for drawn ones.
    """

    pictures: tuple[Path | Image.Image, ...]
    labels: np.ndarray | None
    where: str
    expected: np.ndarray
    data_name: str = ""
    data_digest: str = ""

    def __len__(self) -> int:
        return len(self.pictures)

    def batches(self) -> Iterator[list[Image.Image]]:
        """All pictures in order, decoded, a few at a time: memory does not grow with their number."""
        for start in range(0, len(self.pictures), BATCH):
            yield [_decoded(picture) for picture in self.pictures[start : start + BATCH]]


def read_probe(config: ExportConfig, source: Source, on_event: OnEvent) -> Probe:
    """Images of val, spread evenly over its classes; drawn ones, and a warning, where val is not there.

    Raises DataError where a data set was named and has other classes, or cannot be read.
    """
    try:
        return _of_val(config, source)
    except DataError as error:
        if config.export.data_dir is not None:
            raise
        on_event(Note(f"{error.message}; the export is checked on drawn pictures instead", is_warning=True))
        pictures = _drawn(source)
        return Probe(pictures, None, f"{N_DRAWN} drawn pictures", _expected(source.loaded, pictures))


def data_set_of(config: ExportConfig, source: Source) -> Manifest:
    """The data set that was named, else the one the run was trained on. Raises DataError where there is none."""
    asked = EvaluateConfig(evaluate=EvaluateOptions(data_dir=config.export.data_dir, split="val"), data=config.data)
    return read_manifest(data_dir_of(asked, _subject(source)))


def _subject(source: Source) -> Subject:
    return Subject(source.checkpoint, source.loaded.meta, None, False)


def _of_val(config: ExportConfig, source: Source) -> Probe:
    manifest = data_set_of(config, source)
    index = match_classes(manifest, source.loaded.classes, _subject(source)).index
    rows = [row for row in manifest.split("val") if index[row.label] >= 0]
    if not rows:
        raise DataError(f"{manifest.root}: no image of val is of a class that the model knows")
    limit = config.export.images or len(rows)
    spread = np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(int)  # rows lie class by class
    readable = [rows[index] for index in spread if _is_readable(manifest.file(rows[index]))]
    if not readable:
        raise DataError(f"{manifest.root}: none of the images of val can be read")
    labels = index[np.array([row.label for row in readable])]
    files = tuple(manifest.file(row) for row in readable)
    where = _val_in_words(manifest, len(files), len(rows))
    return Probe(files, labels, where, _expected(source.loaded, files), manifest.name, manifest.digest)


def _val_in_words(manifest: Manifest, n: int, n_all: int) -> str:
    return f"{n:,} of the {n_all:,} val images of {visible(manifest.name)} (digest {manifest.digest[:12]})"


def _is_readable(file: Path) -> bool:
    try:
        decode_image(file)
    except ImageError:
        return False
    return True


def _drawn(source: Source) -> tuple[Image.Image, ...]:
    """Smooth colours of several shapes, each larger or smaller than the model's square, always the same ones."""
    rng = np.random.default_rng(0)
    side = max(source.loaded.preprocess.size)
    pictures = []
    for index in range(N_DRAWN):
        width, height = (max(2, round(side * factor)) for factor in rng.uniform(0.5, 2.5, 2))
        coarse = rng.integers(0, 256, (2 + index % 7, 2 + index % 5, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + rng.integers(-20, 21, smooth.shape)
        pictures.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    return tuple(pictures)


def _decoded(picture: Path | Image.Image) -> Image.Image:
    return decode_image(picture) if isinstance(picture, Path) else picture


def _expected(loaded: Loaded, pictures: Sequence[Path | Image.Image]) -> np.ndarray:
    """(N, C) float64 of the model before it is merged or written."""
    rows = []
    for start in range(0, len(pictures), BATCH):
        decoded = [_decoded(picture) for picture in pictures[start : start + BATCH]]
        pixels = np.stack([loaded.preprocess.pixels(picture) for picture in decoded])
        rows.append(probabilities(loaded, pixels, Precision(CPU, None)))
    return np.concatenate(rows)
