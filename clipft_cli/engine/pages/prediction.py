"""The answer for one image, and the forms in which answers are written: text, CSV, JSON lines, one JSON object."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..files.visible import csv_cell, json_escaped, padded, visible
from ..labels.class_names import ClassInfo

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

    `is_unknown`: the best answer is below the threshold that was given.
    """

    path: str
    answers: tuple[Answer, ...] = ()
    problem: str | None = None
    is_unknown: bool = False

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
        lines.append(f"  {UNKNOWN}: no class reaches the threshold")
    width = max((len(visible(a.info.readable)) for a in prediction.answers), default=0)
    for rank, answer in enumerate(prediction.answers, start=1):
        lines.append(f"  {rank:>2}  {padded(visible(answer.info.readable), min(width, 48))}  {answer.probability:7.2%}")
    return "\n".join(lines) + "\n"


def _csv_head(top_k: int) -> str:
    columns = ["path", "predicted", "probability", "error"]
    for rank in range(1, top_k + 1):
        columns += [f"class_{rank}", f"probability_{rank}"]
    return _csv_line(columns)


def _csv_piece(prediction: Prediction, top_k: int) -> str:
    cells = [csv_cell(prediction.path), "", "", csv_cell(prediction.problem or "")]
    if prediction.answers:
        best = prediction.answers[0]
        cells[1] = UNKNOWN if prediction.is_unknown else csv_cell(best.info.name)
        cells[2] = f"{best.probability:.6f}"
    for answer in prediction.answers:
        cells += [csv_cell(answer.info.name), f"{answer.probability:.6f}"]
    return _csv_line(cells + [""] * (4 + 2 * top_k - len(cells)))


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
