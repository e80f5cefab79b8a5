"""`clipft predict`: files named by a person, classified in batches while the next ones are decoded."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np

from ..config.predict import PredictConfig, PredictOptions
from ..errors import ConfigError
from .checkpoint.answers import features_and_probabilities, probabilities
from .files.embeddings_file import EmbeddingsFile
from .images.decode import why_not_there
from .images.decoded_ahead import DECODED, decoded_ahead
from .images.inputs import ImageInput, Inputs
from .images.transforms import Preprocess
from .labels.class_names import ClassInfo
from .machine.ahead import Ahead
from .machine.hardware import worker_count
from .pages.prediction import Answer, Prediction, PredictSummary
from .run_dir import find_checkpoint, is_export

NO_SCORE = "the model gives no finite score for it"


class Sink(Protocol):
    """Where predictions go, one at a time and in order; `begin` tells how many answers each has at most."""

    def begin(self, n_answers: int) -> None: ...

    def add(self, prediction: Prediction) -> None: ...


def predict(
    config: PredictConfig,
    names: Iterable[str | ImageInput],
    sink: Sink,
    on_note: Callable[[str], None] = lambda text: None,
) -> PredictSummary:
    """Classify every image that `names` stand for; memory does not grow with their number.

    A file that cannot be used is a prediction with a problem. Raises CheckpointError, ConfigError or
    ResourceError.
    """
    started = time.perf_counter()
    given = config.predict.checkpoint
    checkpoint = given if given is not None and is_export(given) else find_checkpoint(given)
    if config.predict.checkpoint is None:
        on_note(f"using {checkpoint}, of the newest finished run")
    if config.predict.base is not None and is_export(checkpoint):
        from .checkpoint.base_file import needless_base

        raise needless_base(checkpoint)
    if config.predict.graph is not None and not is_export(checkpoint):
        raise ConfigError(f"--graph: {checkpoint} is no ONNX export, and has no graph")
    embeddings = _embeddings(config.predict, checkpoint)
    summary = PredictSummary(checkpoint, started)
    inputs = Inputs(names)
    found = iter(inputs)
    hopeless, first = _first_worth_reading(found)
    if first is None:  # no model is needed to say so
        sink.begin(config.predict.top_k)
        _pass_on((_failed(item, item.problem or "") for item in hopeless), sink, summary)
    else:
        _classify_all(config, chain(hopeless, [first], found), sink, summary, on_note, embeddings=embeddings)
    if embeddings is not None and first is not None:
        embeddings.write()
        summary.embeddings = embeddings.shape
    summary.skipped = inputs.skipped
    return summary


def _embeddings(options: PredictOptions, checkpoint: Path) -> EmbeddingsFile | None:
    """The file for the features, where they are asked for; an export has none."""
    if options.embeddings is None:
        return None
    if is_export(checkpoint):
        raise ConfigError(
            f"--embeddings: {checkpoint} is an ONNX export, which gives probabilities and no features",
            hint="name the run that it was made of with --checkpoint",
        )
    return EmbeddingsFile(options.embeddings)


def _first_worth_reading(found: Iterator[ImageInput]) -> tuple[list[ImageInput], ImageInput | None]:
    """The inputs in front of the first that exists, and that one."""
    hopeless: list[ImageInput] = []
    for item in found:
        if item.problem is None and (item.picture is not None or os.path.exists(item.name)):
            return hopeless, item
        hopeless.append(item if item.problem is not None else ImageInput(item.name, why_not_there(item.name)))
    return hopeless, None


def _classify_all(
    config: PredictConfig,
    found: Iterable[ImageInput],
    sink: Sink,
    summary: PredictSummary,
    on_note: Callable[[str], None],
    *,
    embeddings: EmbeddingsFile | None,
) -> None:
    if is_export(summary.checkpoint):
        from .exports.runtime import open_onnx  # no torch: a quarter of the time from cold, and of the memory

        with _decoding() as pool:
            model = open_onnx(summary.checkpoint, graph=config.predict.graph)
            if model.choice is not None:
                on_note(model.choice)
            with _ahead(config, found, model.preprocess, pool) as ahead:
                ready = Ready(model.classes, model.probabilities, "cpu (onnxruntime)", model.precision)
                _classify_batches(config.predict, ahead, ready, sink, summary)
        return
    from .checkpoint.opened import opened

    with (
        opened(summary.checkpoint, config.predict.base) as checkpoint,
        _decoding() as pool,
        _ahead(config, found, checkpoint.card.preprocess, pool) as ahead,
    ):
        with _without_collection():
            from .model.precision import device_label, set_up  # torch: by far the longest wait

            precision = set_up(config.hardware, checkpoint.card.precision)
            loaded = checkpoint.load(precision.device)
        answer = partial(probabilities, loaded, precision=precision)
        kept: list[np.ndarray] = []

        def answer_and_keep(pixels: np.ndarray) -> np.ndarray:
            features, shares = features_and_probabilities(loaded, pixels, precision)
            kept.append(features)
            return shares

        def pass_on(names: Sequence[str]) -> None:
            if embeddings is not None and kept:
                embeddings.add(names, kept.pop())

        ready = Ready(
            loaded.classes,
            answer if embeddings is None else answer_and_keep,
            device_label(precision.device),
            precision.name,
            pass_on,
        )
        _classify_batches(config.predict, ahead, ready, sink, summary)


@dataclass(frozen=True)
class Ready:
    """A model that answers: `answer` takes pixels (B, 3, H, W) uint8 and gives probabilities (B, C).

    `after` is told the names of the images of each batch that it has answered.
    """

    classes: tuple[ClassInfo, ...]
    answer: Callable[[np.ndarray], np.ndarray]
    device: str
    precision: str
    after: Callable[[Sequence[str]], None] = lambda names: None


def _decoding() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(worker_count("auto"), thread_name_prefix="clipft-decode")


def _ahead(
    config: PredictConfig, found: Iterable[ImageInput], preprocess: Preprocess, pool: ThreadPoolExecutor
) -> contextlib.closing[Ahead[DECODED]]:
    return contextlib.closing(decoded_ahead(found, preprocess, pool, 2 * config.predict.batch_size))


def _classify_batches(
    options: PredictOptions, ahead: Ahead[DECODED], ready: Ready, sink: Sink, summary: PredictSummary
) -> None:
    begun = time.perf_counter()
    summary.load_seconds = begun - summary.started
    summary.device, summary.precision = ready.device, ready.precision
    sink.begin(min(options.top_k, len(ready.classes)))
    decoded = iter(ahead)
    while batch := list(islice(decoded, options.batch_size)):
        _pass_on(classify(batch, ready.classes, ready.answer, options), sink, summary)
        ready.after([item.name for item, content in batch if not isinstance(content, str)])
    summary.seconds = time.perf_counter() - begun


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """What an import makes stays: looking through it for garbage, again and again, costs a tenth of torch's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def classify(
    batch: Sequence[DECODED],
    classes: Sequence[ClassInfo],
    answer: Callable[[np.ndarray], np.ndarray],
    options: PredictOptions,
) -> Iterator[Prediction]:
    """The predictions of a batch, in its order; an image without pixels has its problem.

    `answer` takes pixels (B, 3, H, W) uint8 and gives probabilities (B, C).
    """
    pixels = [content for _, content in batch if not isinstance(content, str)]
    rows = iter(answer(np.stack(pixels)) if pixels else ())
    for item, content in batch:
        yield _failed(item, content) if isinstance(content, str) else _answered(item, next(rows), classes, options)


def _answered(item: ImageInput, row: np.ndarray, classes: Sequence[ClassInfo], options: PredictOptions) -> Prediction:
    if not np.isfinite(row).all():
        return _failed(item, NO_SCORE)
    order = np.argsort(-row, kind="stable")[: options.top_k]
    answers = tuple(Answer(classes[c], float(row[c])) for c in order)
    is_unknown = options.threshold is not None and answers[0].probability < options.threshold
    return Prediction(item.name, answers, is_unknown=is_unknown)


def _failed(item: ImageInput, problem: str) -> Prediction:
    return Prediction(item.name, problem=problem)


def _pass_on(predictions: Iterable[Prediction], sink: Sink, summary: PredictSummary) -> None:
    for prediction in predictions:
        summary.n_images += 1
        if prediction.problem is not None:
            summary.n_failed += 1
            summary.n_without_score += prediction.problem == NO_SCORE
            summary.first_problem = summary.first_problem or f"{prediction.path}: {prediction.problem}"
        sink.add(prediction)
