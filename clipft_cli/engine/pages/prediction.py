"""The answer for one image, and the forms in which answers are written: text, CSV, JSON lines, one JSON object."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError, ClipftError, DataError, PartialError
from ..files.visible import csv_cell, json_escaped, padded, visible
from ..labels.class_names import ClassInfo

if TYPE_CHECKING:
    from ..metrics.conformal import ConformalSets
    from ..metrics.known_images import KnownImages

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """One class and its probability, 0..1."""

    info: ClassInfo
    probability: float

    @property
    def name(self) -> str:
        """The class, as its folder is called."""
        return self.info.name

    @property
    def readable(self) -> str:
        """The words that stand for the class in its prompt."""
        return self.info.readable


@dataclass(frozen=True)
class Prediction:
    """`answers` by falling probability; none of them and a `problem` where the image could not be used.

    `is_unknown`: the image is like no class, or no answer reaches the threshold that was given; `why_unknown` says
    which. `similarity` is the cosine of its features to the nearest class, `class_set` the classes that it may be of,
    the likeliest first, where these were asked for.
    """

    path: str
    answers: tuple[Answer, ...] = ()
    problem: str | None = None
    is_unknown: bool = False
    why_unknown: str = ""
    similarity: float | None = None
    class_set: tuple[ClassInfo, ...] | None = None

    @property
    def best(self) -> str:
        """Readable name of the answer."""
        if self.is_unknown:
            return UNKNOWN
        return self.answers[0].info.readable if self.answers else ""

    @property
    def predicted(self) -> str | None:
        """Name of the class; None where the answer is unknown or there is none."""
        return self.answers[0].name if self.answers and not self.is_unknown else None

    @property
    def probability(self) -> float | None:
        """Of the first answer, 0..1; None where there is none."""
        return self.answers[0].probability if self.answers else None

    def to_json(self) -> dict[str, Any]:
        """One object; `predicted` is null where the answer is unknown or there is none."""
        if self.problem is not None:
            return {"path": self.path, "predicted": None, "error": self.problem}
        return {
            "path": self.path,
            "predicted": None if self.is_unknown else self.answers[0].info.name,
            "probability": round(self.answers[0].probability, 6),
            "is_unknown": self.is_unknown,
            **({} if self.similarity is None else {"similarity": self.similarity}),
            **({} if self.class_set is None else {"set": [info.name for info in self.class_set]}),
            "top": [
                {"class": a.info.name, "readable": a.info.readable, "probability": round(a.probability, 6)}
                for a in self.answers
            ],
        }


@dataclass(frozen=True)
class Form:
    """How predictions become text: a head, once, given the number of answers; then a piece for each."""

    head: Callable[[int], str]
    piece: Callable[[Prediction, int], str]


def json_text(value: Mapping[str, Any]) -> str:
    r"""One line of JSON; what a terminal could act on, or UTF-8 cannot hold, is written as `\uXXXX`."""
    return json_escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _text_piece(prediction: Prediction, top_k: int) -> str:
    lines = [visible(prediction.path)]
    if prediction.problem is not None:
        lines.append(f"  error: {visible(prediction.problem)}")
    if prediction.is_unknown:
        lines.append(f"  {UNKNOWN}: {prediction.why_unknown}")
    width = max((len(visible(a.info.readable)) for a in prediction.answers), default=0)
    for rank, answer in enumerate(prediction.answers, start=1):
        lines.append(f"  {rank:>2}  {padded(visible(answer.info.readable), min(width, 48))}  {answer.probability:7.2%}")
    if prediction.class_set is not None:
        lines.append(f"  one of: {visible(set_text(prediction.class_set))}")
    return "\n".join(lines) + "\n"


def set_text(classes: Sequence[ClassInfo]) -> str:
    """The classes of a set in a line, for a person."""
    return ", ".join(info.readable for info in classes)


def _csv_head(top_k: int, more: Sequence[str] = ()) -> str:
    columns = ["path", "predicted", "probability", "error"]
    for rank in range(1, top_k + 1):
        columns += [f"class_{rank}", f"probability_{rank}"]
    return _csv_line([*columns, *more])


def _csv_head_with_sets(top_k: int) -> str:
    return _csv_head(top_k, ["set_size", "set"])


def _csv_piece_with_sets(prediction: Prediction, top_k: int) -> str:
    found = prediction.class_set
    joined = "" if found is None else "; ".join(info.name for info in found)
    return _csv_piece(prediction, top_k, ["" if found is None else str(len(found)), csv_cell(joined)])


def _csv_piece(prediction: Prediction, top_k: int, more: Sequence[str] = ()) -> str:
    cells = [csv_cell(prediction.path), "", "", csv_cell(prediction.problem or "")]
    if prediction.answers:
        best = prediction.answers[0]
        cells[1] = UNKNOWN if prediction.is_unknown else csv_cell(best.info.name)
        cells[2] = f"{best.probability:.6f}"
    for answer in prediction.answers:
        cells += [csv_cell(answer.info.name), f"{answer.probability:.6f}"]
    return _csv_line([*cells, *[""] * (4 + 2 * top_k - len(cells)), *more])


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _no_head(top_k: int) -> str:
    return ""


FORMS: dict[str, Form] = {
    "txt": Form(_no_head, _text_piece),
    "csv": Form(_csv_head, _csv_piece),
    "jsonl": Form(_no_head, lambda prediction, top_k: json_text(prediction.to_json()) + "\n"),
}
"""Forms that are written as they come, one image at a time."""

FORMS_WITH_SETS: dict[str, Form] = {**FORMS, "csv": Form(_csv_head_with_sets, _csv_piece_with_sets)}
"""The same where each prediction has a set of classes."""


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
    embeddings: tuple[int, int] | None = None
    """Rows and columns of the features that were written."""

    known: KnownImages | None = None
    """What the images were held against, where `predict.reject` asks for it."""

    sets: ConformalSets | None = None
    """How the sets were made, where `predict.coverage` asks for them."""

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
            "embeddings": list(self.embeddings) if self.embeddings is not None else None,
            "reject": self.known.to_json() if self.known is not None else None,
            "coverage": self.sets.to_json() if self.sets is not None else None,
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
