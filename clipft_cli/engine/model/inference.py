"""Passes without gradients: logits or features of a whole split, in its order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..events import Note, OnEvent, Progress, unheard
from ..images.dataset import ImageDataset, View
from ..images.loader import Loader, in_batches
from ..machine.memory import halved_until_it_fits
from ..machine.signals import StopRequest
from .classifier import Classifier
from .precision import Precision


def usual_batch(device: torch.device) -> int:
    """Images in one batch of an evaluation where none was asked for."""
    return 64 if device.type == "cpu" else 256


@dataclass(frozen=True)
class Inference:
    """How passes without gradients are made: by which workers, in which precision, how many images at a time.

    `on_event` is told how far a pass is; it ends with Stopped after a signal to `stop`.
    """

    loader: Loader
    precision: Precision
    batch_size: int
    on_event: OnEvent = unheard
    stop: StopRequest | None = None

    def watched(self, on_event: OnEvent | None, stop: StopRequest | None = None) -> Inference:
        """The same passes, told to `on_event` and ended by `stop`."""
        return replace(self, on_event=on_event or unheard, stop=stop)

    def check_stop(self) -> None:
        """Raises Stopped after a signal."""
        if self.stop is not None:
            self.stop.check()


def split_logits(classifier: Classifier, dataset: ImageDataset, inference: Inference, what: str = "val") -> Tensor:
    """(N, C) float32 logits on the CPU, in the order of the data set. Raises Stopped after a signal."""
    batches = _outputs(classifier, classifier, dataset, inference, what=what)
    return torch.cat([output.float() for output in batches])


def split_features(
    classifier: Classifier, dataset: ImageDataset, inference: Inference, what: str = "features"
) -> Tensor:
    """(N, D) float32 features on the CPU, not normalised, in the order of the data set. Raises Stopped."""
    batches = _outputs(classifier, classifier.features, dataset, inference, what=what)
    return torch.cat([output.float() for output in batches])


def split_hidden(
    classifier: Classifier, cut: int, dataset: ImageDataset, inference: Inference, *, view: int | None = None
) -> Iterator[Tensor]:
    """What the tower gives below `cut`, piece by piece on the CPU, in the order of the data set.

    Of the validation pixels, or of the training pixels of epoch `view`. Raises Stopped after a signal.
    """

    def forward(images: Tensor) -> Tensor:
        return classifier.below(images, cut)

    return _outputs(classifier, forward, dataset, inference, what="frozen part", view=view)


def hidden_logits(classifier: Classifier, hidden: Tensor, cut: int, inference: Inference) -> Tensor:
    """`split_logits` from what `split_hidden` gave, (N, ...). Raises Stopped after a signal."""
    outputs: list[Tensor] = []
    with _evaluating(classifier):
        for start in range(0, len(hidden), inference.batch_size):
            inference.check_stop()
            part = hidden[start : start + inference.batch_size].to(inference.precision.device)
            outputs += _in_pieces_that_fit(lambda rows: classifier(rows, cut), part, inference)
    return torch.cat([output.float() for output in outputs])


@contextlib.contextmanager
def _evaluating(classifier: Classifier) -> Iterator[None]:
    was_training = classifier.training
    classifier.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        classifier.train(was_training)


def _outputs(
    classifier: Classifier,
    forward: Callable[[Tensor], Tensor],
    dataset: ImageDataset,
    inference: Inference,
    *,
    what: str,
    view: int | None = None,
) -> Iterator[Tensor]:
    def normalised(pixels: Tensor) -> Tensor:
        return forward(dataset.preprocess.normalise(pixels))

    done = 0
    order = in_batches(np.arange(len(dataset)), inference.batch_size)
    for batch in inference.loader.batches(order, View(dataset, view), dataset.labels, inference.precision.device):
        inference.check_stop()
        with _evaluating(classifier):  # not across a yield: grad mode belongs to the thread, whoever runs in it
            pieces = _in_pieces_that_fit(normalised, batch.pixels, inference)
        yield from pieces
        done += len(batch.labels)
        inference.on_event(Progress(what, done, len(dataset)))


def _in_pieces_that_fit(forward: Callable[[Tensor], Tensor], images: Tensor, inference: Inference) -> list[Tensor]:
    """`forward` of the batch on the CPU; what did not fit once is not tried again in this process."""
    loader = inference.loader
    wanted = min(len(images), loader.fits_without_gradients or len(images))

    def pieces_of(size: int) -> list[Tensor]:
        with inference.precision.autocast():
            return [forward(images[i : i + size]).cpu() for i in range(0, len(images), size)]

    outputs, size = halved_until_it_fits(pieces_of, wanted)
    if size < wanted:
        loader.fits_without_gradients = size
        told = f"out of memory without gradients: {size} images at a time from now on"
        inference.on_event(Note(told, is_warning=True))
    return outputs


def in_pieces(forward: Callable[[Tensor], Tensor], images: Tensor, precision: Precision) -> Tensor:
    """`forward` of the batch, in pieces as small as the memory asks for: each image's result is its own."""

    def pieces_of(size: int) -> Tensor:
        with precision.autocast():
            return torch.cat([forward(images[i : i + size]).float() for i in range(0, len(images), size)])

    return halved_until_it_fits(pieces_of, len(images))[0]
