"""From a batch of decoded images to their predictions: what a model answers, held against what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...config.predict import PredictOptions
from ..files.embeddings_file import EmbeddingsFile
from ..images.decoded_ahead import DECODED
from ..images.inputs import ImageInput
from ..labels.class_names import ClassInfo
from .prediction import Answer, Prediction

if TYPE_CHECKING:
    from ..metrics.conformal import ConformalSets
    from ..metrics.known_images import KnownImages

NO_SCORE = "the model gives no finite score for it"


@dataclass(frozen=True)
class Answering:
    """A model that answers: `answer` takes pixels (B, 3, H, W) uint8 and gives features (B, D), rows of length 1, or
    None where it has none, and probabilities (B, C).

    `known` says which images are like none of the classes, `sets` which classes an image may be of, `embeddings` is
    given the features.
    """

    classes: tuple[ClassInfo, ...]
    answer: Callable[[np.ndarray], tuple[np.ndarray | None, np.ndarray]]
    known: KnownImages | None = None
    sets: ConformalSets | None = None
    embeddings: EmbeddingsFile | None = None


def classify(batch: Sequence[DECODED], model: Answering, options: PredictOptions) -> Iterator[Prediction]:
    """The predictions of a batch, in its order; an image without pixels has its problem."""
    decoded = [(item.name, content) for item, content in batch if not isinstance(content, str)]
    features, shares = model.answer(np.stack([pixels for _, pixels in decoded])) if decoded else (None, np.empty(0))
    if model.embeddings is not None and features is not None:
        model.embeddings.add([name for name, _ in decoded], features)
    similarity = None
    if model.known is not None and features is not None:
        similarity = model.known.similarity(features)
    place = 0
    for item, content in batch:
        if isinstance(content, str):
            yield failed(item, content)
            continue
        alike = None if similarity is None else float(similarity[place])
        yield _answered(item, shares[place], alike, model, options)
        place += 1


def _answered(
    item: ImageInput, row: np.ndarray, similarity: float | None, model: Answering, options: PredictOptions
) -> Prediction:
    if not np.isfinite(row).all():
        return failed(item, NO_SCORE)
    order = np.argsort(-row, kind="stable")[: options.top_k]
    answers = tuple(Answer(model.classes[c], float(row[c])) for c in order)
    reasons = []
    if model.known is not None and similarity is not None and similarity < model.known.threshold:
        reasons.append("it is like no class")
    if options.threshold is not None and answers[0].probability < options.threshold:
        reasons.append("no class reaches the threshold")
    return Prediction(
        item.name,
        answers,
        is_unknown=bool(reasons),
        why_unknown=" and ".join(reasons),
        similarity=similarity,
        class_set=None if model.sets is None else tuple(model.classes[c] for c in model.sets.sets(row[None])[0]),
    )


def failed(item: ImageInput, problem: str) -> Prediction:
    """The prediction of an image that has none."""
    return Prediction(item.name, problem=problem)
