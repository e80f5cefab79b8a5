"""`clipft predict`: files named by a person, classified in batches while the next ones are decoded."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..config.predict import PredictConfig, PredictOptions
from ..errors import CheckpointError, ClipftError, ConfigError, DataError, PartialError
from .checkpoint.answers import probabilities
from .images.decode import why_not_there
from .images.decoded_ahead import DECODED, decoded_ahead
from .images.inputs import ImageInput, Inputs
from .images.transforms import Preprocess
from .labels.class_names import ClassInfo
from .machine.ahead import Ahead
from .machine.hardware import worker_count
from .pages.prediction import Answer, Prediction
from .run_dir import find_checkpoint, is_export

NO_SCORE = "the model gives no finite score for it"


class Sink(Protocol):
    """Where predictions go, one at a time and in order; `begin` tells how many answers each has at most."""

    def begin(self, n_answers: int) -> None: ...

    def add(self, prediction: Prediction) -> None: ...


@dataclass
class PredictSummary:
    """What was done. `load_seconds`: until the model was ready; `seconds`: decoding and classifying after that.

    `started` is on the clock of time.perf_counter.
    """

    checkpoint: Path
    started: float
    device: str = "not needed"
    precision: str = ""
    n_images: int = 0
    n_failed: int = 0
    n_without_score: int = 0
    first_problem: str = ""
    load_seconds: float = 0.0
    seconds: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def images_per_second(self) -> float:
        """Of those that were classified."""
        return (self.n_images - self.n_failed) / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything but the results."""
        return {
            "checkpoint": str(self.checkpoint),
            "n_images": self.n_images,
            "n_failed": self.n_failed,
            "skipped": dict(self.skipped),
            "timing": {
                "load_seconds": round(self.load_seconds, 3),
                "predict_seconds": round(self.seconds, 3),
                "images_per_second": round(self.images_per_second, 1),
                "device": self.device,
                "precision": self.precision,
            },
        }

    def failure(self) -> ClipftError | None:
        """PartialError where some images failed, DataError where all did or there were none, CheckpointError where
        the model had a score for none."""
        if self.n_images == 0:
            return DataError("no images: the list is empty", hint="clipft predict IMAGE..., a folder, or a list")
        if self.n_failed == 0:
            return None
        if self.n_failed == self.n_images and self.n_without_score:
            return CheckpointError(
                f"{self.checkpoint}: the model gives no finite score for any image",
                hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
            )
        if self.n_failed == self.n_images:
            named = self.first_problem if self.n_images == 1 else f"the first: {self.first_problem}"
            what = "the image" if self.n_images == 1 else f"none of {self.n_images} images"
            verb = "cannot be used" if self.n_images == 1 else "can be used"
            return DataError(f"{what} {verb}: {named}")
        return PartialError(
            f"{self.n_failed} of {self.n_images} images could not be used, the first: {self.first_problem}",
            hint="each is named in the output with its reason; all others were classified",
        )


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
    if config.predict.graph is not None and not is_export(checkpoint):
        raise ConfigError(f"--graph: {checkpoint} is no ONNX export, and has no graph")
    summary = PredictSummary(checkpoint, started)
    inputs = Inputs(names)
    found = iter(inputs)
    hopeless, first = _first_worth_reading(found)
    if first is None:  # no model is needed to say so
        sink.begin(config.predict.top_k)
        _pass_on((_failed(item, item.problem or "") for item in hopeless), sink, summary)
    else:
        _classify_all(config, chain(hopeless, [first], found), sink, summary, on_note)
    summary.skipped = inputs.skipped
    return summary


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
        ready = Ready(loaded.classes, answer, device_label(precision.device), precision.name)
        _classify_batches(config.predict, ahead, ready, sink, summary)


@dataclass(frozen=True)
class Ready:
    """A model that answers: `answer` takes pixels (B, 3, H, W) uint8 and gives probabilities (B, C)."""

    classes: tuple[ClassInfo, ...]
    answer: Callable[[np.ndarray], np.ndarray]
    device: str
    precision: str


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
