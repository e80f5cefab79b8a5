"""Passes without gradients: logits or features of a whole split, in its order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...errors import is_out_of_memory
from ..events import Note, OnEvent, Progress
from ..images.dataset import ImageDataset
from ..images.loader import Loader, in_batches
from ..machine.memory import out_of_memory_error
from ..machine.signals import StopRequest
from .classifier import Classifier
from .precision import Precision


def usual_batch(device: torch.device) -> int:
    """Images in one batch of an evaluation where none was asked for."""
    return 64 if device.type == "cpu" else 256


def split_logits(
    classifier: Classifier,
    dataset: ImageDataset,
    loader: Loader,
    precision: Precision,
    batch_size: int,
    on_event: OnEvent | None = None,
    what: str = "val",
    stop: StopRequest | None = None,
) -> Tensor:
    """(N, C) float32 logits on the CPU, in the order of the data set. Raises Stopped after a signal."""
    outputs: list[Tensor] = []
    _run(classifier, classifier, dataset, loader, precision, batch_size, on_event, what, stop, _append(outputs))
    return torch.cat(outputs).clone()


def split_features(
    classifier: Classifier,
    dataset: ImageDataset,
    loader: Loader,
    precision: Precision,
    batch_size: int,
    on_event: OnEvent | None = None,
    what: str = "features",
    stop: StopRequest | None = None,
) -> Tensor:
    """(N, D) float32 features on the CPU, not normalised, in the order of the data set. Raises Stopped."""
    outputs: list[Tensor] = []
    forward = classifier.features
    _run(classifier, forward, dataset, loader, precision, batch_size, on_event, what, stop, _append(outputs))
    return torch.cat(outputs).clone()


def split_hidden(
    classifier: Classifier,
    cut: int,
    dataset: ImageDataset,
    loader: Loader,
    precision: Precision,
    batch_size: int,
    keep: Callable[[Tensor], None],
    on_event: OnEvent | None = None,
    what: str = "frozen part",
    stop: StopRequest | None = None,
    view: int | None = None,
) -> None:
    """Hand what the tower gives below `cut` to `keep`, piece by piece, in the order of the data set.

    Of the validation pixels, or of the training pixels of epoch `view`. Raises Stopped after a signal.
    """

    def forward(images: Tensor) -> Tensor:
        return classifier.below(images, cut)

    _run(classifier, forward, dataset, loader, precision, batch_size, on_event, what, stop, keep, view)


def hidden_logits(
    classifier: Classifier,
    hidden: Tensor,
    cut: int,
    loader: Loader,
    precision: Precision,
    batch_size: int,
    on_event: OnEvent | None = None,
    stop: StopRequest | None = None,
) -> Tensor:
    """`split_logits` from what `split_hidden` gave, (N, ...). Raises Stopped after a signal."""
    outputs: list[Tensor] = []
    with _evaluating(classifier):
        for start in range(0, len(hidden), batch_size):
            if stop is not None:
                stop.check()
            part = hidden[start : start + batch_size].to(precision.device)
            outputs += _in_pieces_that_fit(
                lambda rows: classifier(rows, cut), part, loader, precision, on_event or _silent
            )
    return torch.cat(outputs).clone()


def _append(outputs: list[Tensor]) -> Callable[[Tensor], None]:
    return lambda output: outputs.append(output.float())


def _silent(event: object) -> None:
    pass


@contextlib.contextmanager
def _evaluating(classifier: Classifier) -> Iterator[None]:
    was_training = classifier.training
    classifier.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        classifier.train(was_training)


def _run(
    classifier: Classifier,
    forward: Callable[[Tensor], Tensor],
    dataset: ImageDataset,
    loader: Loader,
    precision: Precision,
    batch_size: int,
    on_event: OnEvent | None,
    what: str,
    stop: StopRequest | None,
    keep: Callable[[Tensor], None],
    view: int | None = None,
) -> None:
    def pixels_of(index: int) -> np.ndarray:
        return dataset.eval_pixels(index) if view is None else dataset.train_pixels(index, view)

    def normalised(pixels: Tensor) -> Tensor:
        return forward(dataset.preprocess.normalise(pixels))

    done = 0
    say = on_event or _silent
    order = in_batches(np.arange(len(dataset)), batch_size)
    with _evaluating(classifier):
        for batch in loader.batches(order, pixels_of, dataset.labels, precision.device):
            if stop is not None:
                stop.check()
            for output in _in_pieces_that_fit(normalised, batch.pixels, loader, precision, say):
                keep(output)
            done += len(batch.labels)
            say(Progress(what, done, len(dataset)))


def _in_pieces_that_fit(
    forward: Callable[[Tensor], Tensor], images: Tensor, loader: Loader, precision: Precision, say: OnEvent
) -> list[Tensor]:
    """`forward` of the batch on the CPU; what did not fit once is not tried again in this process."""
    size = min(len(images), loader.fits_without_gradients or len(images))
    while True:
        try:
            with precision.autocast():
                return [forward(images[i : i + size]).cpu() for i in range(0, len(images), size)]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise out_of_memory_error() from error
        size = loader.fits_without_gradients = max(1, size // 2)
        say(Note(f"out of memory without gradients: {size} images at a time from now on", is_warning=True))


def in_pieces(forward: Callable[[Tensor], Tensor], images: Tensor, precision: Precision) -> Tensor:
    """`forward` of the batch, halved as often as the memory asks for: each image's result is its own."""
    try:
        with precision.autocast():
            return forward(images).float()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(images) == 1:
            raise out_of_memory_error() from error
    half = len(images) // 2
    return torch.cat([in_pieces(forward, part, precision) for part in (images[:half], images[half:])])
