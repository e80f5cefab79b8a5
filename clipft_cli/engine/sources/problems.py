"""What was left out of a data set, or looks wrong in it, and why: problems.csv and its summary in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import NO_PERMISSION, ResourceError
from ..files.regular import regular_bytes
from ..files.visible import safe_cell, shown
from ..files.write import write_text

PROBLEMS_FILE = "problems.csv"
COLUMNS = ("file", "class", "action", "reason", "detail")

NOT_AN_IMAGE = "not an image file"
BESIDE_SPLITS = "in a folder beside train, val and test"
UNLABELLED = "unlabelled: in a split, but in no class folder"
A_MASK = "a mask of another image"
READ_ALREADY = "a link to a folder that is read already"
DEAD_LINK = "a link that leads nowhere"
NO_FOLDER = "folder cannot be read"
EMPTY_CLASS = "class folder without images"
EMPTY_SPLIT = "split folder without images"
TWICE = "listed twice in the table"
TOO_SMALL = "its class is too small"
NO_TRAINING_IMAGES = "its class has no training images"

Action = Literal["left out", "kept"]


@dataclass(frozen=True)
class Problem:
    """One file and what is wrong with it. `reason` is the same for all of its kind, `detail` this one's."""

    file: str
    reason: str
    detail: str = ""
    label: str = ""
    action: Action = "left out"


@dataclass(frozen=True)
class ProblemSummary:
    """All problems of one reason: how many files, and the first few."""

    reason: str
    action: Action
    count: int
    examples: tuple[str, ...]


def refuse_closed(problems: Iterable[Problem], why: str = "") -> None:
    """Raises ResourceError where files or folders may not be read, with the command that opens the first."""
    closed = [problem for problem in problems if problem.reason == NO_PERMISSION]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise ResourceError(f"{shown(closed[0].file)}{more}: {NO_PERMISSION}{why}", hint=closed[0].detail)


def summarise(problems: Iterable[Problem], n_examples: int = 3) -> list[ProblemSummary]:
    """One summary a reason, the most frequent first."""
    kinds: dict[tuple[str, Action], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.reason, problem.action), []).append(problem)
    return [
        ProblemSummary(reason, action, len(found), tuple(_example(p) for p in found[:n_examples]))
        for (reason, action), found in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    ]


def _example(problem: Problem) -> str:
    return shown(f"{problem.file} ({problem.detail})" if problem.detail else problem.file)


def read_problems(folder: Path) -> list[Problem]:
    """What the problems.csv of a data folder lists, texts as it shows them; empty where there is none."""
    try:
        text = regular_bytes(folder / PROBLEMS_FILE).decode("utf-8", "replace")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return [Problem(r["file"], r["reason"], r["detail"], r["class"], r["action"]) for r in rows]  # type: ignore[arg-type]
    except (OSError, KeyError, csv.Error):
        return []


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write problems.csv, with its header alone where there is no problem. Raises OSError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for problem in problems:
        cells = (problem.file, problem.label, problem.action, problem.reason, problem.detail)
        writer.writerow([safe_cell(cell) for cell in cells])
    write_text(path, text.getvalue())
