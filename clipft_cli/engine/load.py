"""A fine-tuned model in a Python program: the images at hand in, answers or features out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ..config.load import options_of
from ..config.model import HardwareConfig
from ..config.predict import PredictOptions
from ..errors import DataError, ModelError
from .checkpoint.answers import features_and_probabilities, unit_features
from .checkpoint.load import Loaded
from .checkpoint.opened import opened
from .images.decode import ImageError, rgb_of
from .images.decoded_ahead import DECODED, decoded_ahead
from .images.inputs import ImageInput
from .labels.class_names import ClassInfo
from .machine.hardware import worker_count
from .model.precision import Precision, set_up
from .pages.answering import Answering, classify
from .pages.prediction import Prediction

Picture = str | os.PathLike[str] | Image.Image | np.ndarray
"""A file, a Pillow image, or an array of (H, W, 3) uint8 in RGB (also grey (H, W), or with alpha)."""

N_NAMED = 3


def load(checkpoint: Path, hardware: HardwareConfig) -> LoadedModel:
    """The classifier in a checkpoint folder. Raises CheckpointError or ResourceError."""
    with opened(checkpoint) as files:
        precision = set_up(hardware, files.card.precision)
        return LoadedModel(checkpoint, files.load(precision.device), precision)


class LoadedModel:
    """A fine-tuned classifier, ready to use; it keeps no image and changes with none."""

    def __init__(self, checkpoint: Path, loaded: Loaded, precision: Precision) -> None:
        self.checkpoint = checkpoint
        self._loaded = loaded
        self._precision = precision

    def __repr__(self) -> str:
        return f"<clipft model {self.checkpoint}: {len(self.classes)} classes, {self._precision.name}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, as their folders are called, in the order of the head."""
        return tuple(info.name for info in self._loaded.classes)

    @property
    def class_infos(self) -> tuple[ClassInfo, ...]:
        """The classes with the words that stand in their prompts (`readable`), in the same order."""
        return self._loaded.classes

    def predict(
        self, images: Iterable[Picture], *, top_k: int = 5, threshold: float | None = None, batch_size: int = 32
    ) -> list[Prediction]:
        """One Prediction an image, in order, equal to that of `clipft predict` on the same files.

        An image that cannot be used has a `problem` and no answers; all others are classified. Below `threshold`
        the answer `is_unknown`. Raises DataError where `images` is no list of images, ConfigError for a wrong option.
        """
        options = options_of(PredictOptions, top_k=top_k, threshold=threshold, batch_size=batch_size)
        answer = partial(features_and_probabilities, self._loaded, precision=self._precision)
        model = Answering(self._loaded.classes, answer)
        found: list[Prediction] = []
        for batch in self._batches(images, options.batch_size):
            found += classify(batch, model, options)
        return found

    def embed(self, images: Iterable[Picture], *, batch_size: int = 32) -> np.ndarray:
        """(B, D) float32, rows of length 1: the image tower's features, in the order of `images`.

        Raises DataError naming the images that cannot be used: a row that is missing would shift all after it.
        """
        batch_size = options_of(PredictOptions, batch_size=batch_size).batch_size
        rows = [np.empty((0, self._loaded.classifier.head.weight.shape[1]), dtype=np.float32)]
        problems: list[str] = []
        for batch in self._batches(images, batch_size):
            problems += [f"{item.name}: {content}" for item, content in batch if isinstance(content, str)]
            if not problems:
                pixels = np.stack([content for _, content in batch if not isinstance(content, str)])
                rows.append(unit_features(self._loaded, pixels, self._precision))
        if problems:
            raise DataError(_told(problems), hint="leave them out, or ask `predict`, which gives each its reason")
        features = np.concatenate(rows)
        if not np.isfinite(features).all():
            raise ModelError("the model gives features that are not finite", hint='load it with mixed_precision="no"')
        return features

    def _batches(self, images: Iterable[Picture], batch_size: int) -> Iterator[list[DECODED]]:
        """The images with their pixels; the next ones are decoded while a batch is worked on."""
        with (
            ThreadPoolExecutor(worker_count("auto"), thread_name_prefix="clipft-decode") as pool,
            contextlib.closing(decoded_ahead(_inputs(images), self._loaded.preprocess, pool, 2 * batch_size)) as ahead,
        ):
            decoded = iter(ahead)
            while batch := list(islice(decoded, batch_size)):
                yield batch


def _inputs(images: Iterable[Picture]) -> Iterator[ImageInput]:
    """Each image under its path, or its place in the list. Raises DataError where `images` is one image, or none."""
    is_one = isinstance(images, str | bytes | os.PathLike | Image.Image)
    if is_one or (isinstance(images, np.ndarray) and images.ndim != 4) or not isinstance(images, Iterable):
        raise DataError(
            f"a list of images is needed, not {_kind(images)}",
            hint="put a single image into a list: model.predict([image])",
        )
    for place, image in enumerate(images):
        yield _input(f"images[{place}]", image)


def _input(place: str, image: Picture) -> ImageInput:
    if isinstance(image, str | os.PathLike):
        return ImageInput(os.fspath(image))
    if not isinstance(image, Image.Image | np.ndarray):
        return ImageInput(place, f"not an image: {_kind(image)}; a path, a Pillow image or an array is needed")
    try:
        return ImageInput(place, picture=rgb_of(image))  # here: Pillow reads a file late, and one thread at a time
    except ImageError as error:
        return ImageInput(place, error.text)


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _told(problems: Sequence[str]) -> str:
    more = f" and {len(problems) - N_NAMED} more" if len(problems) > N_NAMED else ""
    return f"{len(problems)} of the images cannot be used: {'; '.join(problems[:N_NAMED])}{more}"
