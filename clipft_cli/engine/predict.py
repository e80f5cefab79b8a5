"""`clipft predict`: files named by a person, classified in batches while the next ones are decoded."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..config.predict import PredictConfig, PredictOptions
from ..errors import ConfigError
from .checkpoint.answers import features_and_probabilities
from .files.amounts import count
from .files.embeddings_file import EmbeddingsFile
from .images.decode import why_not_there
from .images.decoded_ahead import DECODED, decoded_ahead
from .images.inputs import ImageInput, Inputs
from .images.transforms import Preprocess
from .machine.ahead import Ahead
from .machine.hardware import worker_count
from .pages.answering import NO_SCORE, Answering, classify, failed
from .pages.prediction import Prediction, PredictSummary
from .run_dir import find_checkpoint, is_export

if TYPE_CHECKING:
    from .checkpoint.load import Loaded
    from .model.precision import Precision

OnNote = Callable[[str], None]


class Sink(Protocol):
    """Where predictions go, one at a time and in order; `begin` tells how many answers each has at most."""

    def begin(self, n_answers: int) -> None: ...

    def add(self, prediction: Prediction) -> None: ...


def predict(
    config: PredictConfig,
    names: Iterable[str | ImageInput],
    sink: Sink,
    on_note: OnNote = lambda text: None,
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
    _require_fittable(config.predict, checkpoint)
    embeddings = _embeddings(config.predict, checkpoint)
    summary = PredictSummary(checkpoint, started)
    inputs = Inputs(names)
    found = iter(inputs)
    hopeless, first = _first_worth_reading(found)
    if first is None:  # no model is needed to say so
        sink.begin(config.predict.top_k)
        _pass_on((failed(item, item.problem or "") for item in hopeless), sink, summary)
    else:
        _classify_all(config, chain(hopeless, [first], found), sink, summary, on_note, embeddings=embeddings)
    if embeddings is not None and first is not None:
        embeddings.write()
        summary.embeddings = embeddings.shape
    summary.skipped = inputs.skipped
    return summary


def _require_fittable(options: PredictOptions, checkpoint: Path) -> None:
    """Raises ConfigError where what is asked for cannot be fitted on val, and where how is said and not what."""
    is_fitted = options.reject or options.coverage is not None
    if is_fitted and is_export(checkpoint):
        option = "--reject" if options.reject else "--coverage"
        raise ConfigError(
            f"{option}: {checkpoint} is an ONNX export: it gives no features, and no val is kept with it to fit on",
            hint="name the run that it was made of with --checkpoint",
        )
    if "known_share" in options.model_fields_set and not options.reject:
        raise ConfigError("--known-share is for --reject, which is not asked for", hint="add it, or leave this out")
    if options.data_dir is not None and not is_fitted:
        raise ConfigError(
            "--data-dir is for --reject and --coverage, and neither is asked for", hint="add one, or leave this out"
        )


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
    on_note: OnNote,
    *,
    embeddings: EmbeddingsFile | None,
) -> None:
    options = config.predict
    if is_export(summary.checkpoint):
        from .exports.runtime import open_onnx  # no torch: a quarter of the time from cold, and of the memory

        with _decoding() as pool:
            graph = open_onnx(summary.checkpoint, graph=options.graph)
            if graph.choice is not None:
                on_note(graph.choice)
            with _ahead(config, found, graph.preprocess, pool) as ahead:
                summary.device, summary.precision = "cpu (onnxruntime)", graph.precision
                model = Answering(graph.classes, lambda pixels: (None, graph.probabilities(pixels)))
                _classify_batches(options, ahead, model, sink, summary)
        return
    from .checkpoint.opened import opened

    with (
        opened(summary.checkpoint, options.base) as checkpoint,
        _decoding() as pool,
        _ahead(config, found, checkpoint.card.preprocess, pool) as ahead,
    ):
        with _without_collection():
            from .model.precision import device_label, set_up  # torch: by far the longest wait

            precision = set_up(config.hardware, checkpoint.card.precision)
            loaded = checkpoint.load(precision.device)
        summary.device, summary.precision = device_label(precision.device), precision.name
        if options.reject or options.coverage is not None:
            _fit_on_val(options, loaded, precision, summary, on_note)
        answer = partial(features_and_probabilities, loaded, precision=precision)
        model = Answering(loaded.classes, answer, summary.known, summary.sets, embeddings)
        _classify_batches(options, ahead, model, sink, summary)


def _fit_on_val(
    options: PredictOptions, loaded: Loaded, precision: Precision, summary: PredictSummary, on_note: OnNote
) -> None:
    """Give the summary what images of the model's classes are like, and how large their sets are, by val."""
    from scipy.special import softmax

    from .checkpoint.val_answers import told, val_answers
    from .metrics.conformal import fit_sets
    from .metrics.known_images import fit_known

    on_val = val_answers(summary.checkpoint, options.data_dir, loaded, precision, on_note)
    if (text := told(on_val, loaded.classes)) is not None:
        on_note(text)
    if options.reject:
        known = summary.known = fit_known(on_val.features, on_val.labels, options.known_share)
        on_note(
            f"unknown is what is less like the nearest class than {known.threshold:.3f}: by the"
            f" {count(known.n_images, 'image')} of val that keeps {100 * known.share:.4g}% of known images or more"
        )
    if options.coverage is not None:
        shares = softmax(on_val.logits.astype("float64") / loaded.temperature, axis=1)
        sets = summary.sets = fit_sets(shares, on_val.labels, options.coverage)
        on_note(
            f"a set holds the right class with a chance of {100 * sets.coverage:.4g}% or more, {sets.where}: by the"
            f" {count(sets.n_images, 'image')} of val, for images such as these"
        )


def _decoding() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(worker_count("auto"), thread_name_prefix="clipft-decode")


def _ahead(
    config: PredictConfig, found: Iterable[ImageInput], preprocess: Preprocess, pool: ThreadPoolExecutor
) -> contextlib.closing[Ahead[DECODED]]:
    return contextlib.closing(decoded_ahead(found, preprocess, pool, 2 * config.predict.batch_size))


def _classify_batches(
    options: PredictOptions, ahead: Ahead[DECODED], model: Answering, sink: Sink, summary: PredictSummary
) -> None:
    begun = time.perf_counter()
    summary.load_seconds = begun - summary.started
    sink.begin(min(options.top_k, len(model.classes)))
    decoded = iter(ahead)
    while batch := list(islice(decoded, options.batch_size)):
        _pass_on(classify(batch, model, options), sink, summary)
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


def _pass_on(predictions: Iterable[Prediction], sink: Sink, summary: PredictSummary) -> None:
    for prediction in predictions:
        summary.n_images += 1
        if prediction.problem is not None:
            summary.n_failed += 1
            summary.n_without_score += prediction.problem == NO_SCORE
            summary.first_problem = summary.first_problem or f"{prediction.path}: {prediction.problem}"
        sink.add(prediction)
