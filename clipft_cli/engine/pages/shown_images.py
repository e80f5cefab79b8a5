"""Which images of an evaluation are worth a look: the surest mistakes, and the least sure right answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.visible import visible
from ..machine.hardware import worker_count
from ..metrics.answers import Answers
from .thumbnails import thumbnail

MAX_MISTAKES, MAX_UNSURE = 60, 12
_A_PAIR = 6
"""Mistakes of one class for one other, before others have had their turn."""


@dataclass(frozen=True)
class Look:
    """One image: its class, the answer and its probability, and an image of what it was taken for."""

    path: str
    true: int
    predicted: int
    probability: float
    picture: str
    example: str
    example_path: str


def mistakes(answers: Answers, files: Sequence[Path]) -> list[Look]:
    """The surest first, at most MAX_MISTAKES and of one kind no more than six until all kinds are there."""
    wrong = np.flatnonzero(~answers.is_right)
    ranked = wrong[np.argsort(-answers.confidence[wrong], kind="stable")].tolist()
    taken: list[int] = []
    for most in (_A_PAIR, len(ranked)):
        per_pair: dict[tuple[int, int], int] = defaultdict(int)
        for n in (n for n in ranked if n in taken):
            per_pair[_pair(answers, n)] += 1
        for n in ranked:
            if n not in taken and per_pair[_pair(answers, n)] < most and len(taken) < MAX_MISTAKES:
                taken.append(n)
                per_pair[_pair(answers, n)] += 1
    return _looks(sorted(taken, key=ranked.index), answers, files, has_examples=True)


def unsure(answers: Answers, files: Sequence[Path]) -> list[Look]:
    """The right answers of lowest probability."""
    right = np.flatnonzero(answers.is_right)
    ranked = right[np.argsort(answers.confidence[right], kind="stable")]
    return _looks(ranked[:MAX_UNSURE].tolist(), answers, files, has_examples=False)


def _pair(answers: Answers, n: int) -> tuple[int, int]:
    return int(answers.labels[n]), int(answers.predicted[n])


def _looks(chosen: Sequence[int], answers: Answers, files: Sequence[Path], *, has_examples: bool) -> list[Look]:
    wanted = dict.fromkeys(int(answers.predicted[n]) for n in chosen) if has_examples else {}
    examples = {c: n for c in wanted if (n := _surest_of(answers, c)) is not None}
    needed = list(dict.fromkeys([*chosen, *examples.values()]))
    with ThreadPoolExecutor(worker_count("auto")) as pool:
        pictures = dict(zip(needed, pool.map(lambda n: thumbnail(files[n]), needed), strict=True))
    looks = []
    for n in chosen:
        example = examples.get(int(answers.predicted[n]))
        looks.append(
            Look(
                visible(files[n].name),
                int(answers.labels[n]),
                int(answers.predicted[n]),
                float(answers.confidence[n]),
                pictures[n],
                "" if example is None else pictures[example],
                "" if example is None else visible(files[example].name),
            )
        )
    return looks


def _surest_of(answers: Answers, c: int) -> int | None:
    """The image of a class that is told with most probability; None where the split has none of it."""
    own = np.flatnonzero(answers.labels == c)
    if not len(own):
        return None
    sure = np.exp(answers.log_probabilities[own, c])
    return int(own[int(sure.argmax())])
