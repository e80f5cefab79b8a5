"""What a reading loses is said in a warning with its count: classes, whole folders, more than a few of the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ...errors import NO_PERMISSION
from ..files.amounts import count
from ..files.visible import shown
from .listing import Listing
from .problems import (
    A_MASK,
    BESIDE_SPLITS,
    DEAD_LINK,
    EMPTY_CLASS,
    EMPTY_SPLIT,
    NO_FOLDER,
    NO_TRAINING_IMAGES,
    NOT_AN_IMAGE,
    READ_ALREADY,
    TOO_SMALL,
    TWICE,
    UNLABELLED,
    Problem,
)

_ALWAYS = frozenset({BESIDE_SPLITS, UNLABELLED, A_MASK, READ_ALREADY, DEAD_LINK, NO_FOLDER, NO_PERMISSION, EMPTY_SPLIT})
"""Reasons of which one is too many: a folder of any size may be behind it."""
_OF_CLASSES = frozenset({EMPTY_CLASS, TOO_SMALL, NO_TRAINING_IMAGES})
"""Reasons that are told class by class."""
_MANY = 0.05
"""Share of the files: where more are left out, that is a warning."""
_N_NAMED = 5
_ROW = re.compile(r", (line|row|entry|member) [\d,]+$")
"""What follows the name of a table, where a problem is one of its rows."""


def warn_of_losses(listing: Listing) -> None:
    """Add to the warnings of a listing what its reading leaves out. What is told is noted in `listing.told`."""
    labels = {item.label for item in listing.items}
    listing.warnings += class_losses(listing.problems, labels)
    listing.warnings += file_losses(listing.problems, len(listing.items), listing.told)


def class_losses(problems: Sequence[Problem], present: Collection[str], told: Collection[str] = ()) -> list[str]:
    """One warning that names the classes of which no image is left, with their files and why; or none."""
    lost: dict[str, Counter[str]] = {}
    for problem in problems:
        if problem.label and problem.action == "left out" and problem.label not in present:
            lost.setdefault(problem.label, Counter())[problem.reason] += 1
    named = [_lost_class(label, lost[label]) for label in sorted(lost) if label not in told]
    if not named:
        return []
    more = f", ... ({len(named)} in all)" if len(named) > _N_NAMED else ""
    is_one = len(named) == 1
    head = f"{count(len(named), 'class', 'classes')} {'has' if is_one else 'have'} no image that can be used"
    return [f"{head} and {'is' if is_one else 'are'} left out: {', '.join(named[:_N_NAMED])}{more}"]


def _lost_class(label: str, reasons: Counter[str]) -> str:
    reason, _ = reasons.most_common(1)[0]
    n = sum(count for reason, count in reasons.items() if reason != EMPTY_CLASS)
    return f"{shown(label, 40)} ({count(n, 'file')}: {reason})" if n else f"{shown(label, 40)} ({reason})"


def file_losses(problems: Iterable[Problem], n_taken: int, told: set[str]) -> list[str]:
    """Warnings of what left out more than 5% of the files, and of all that must not be overlooked.

    `n_taken` images are taken. Reasons in `told` were said before; those said here are added.
    """
    found = [problem for problem in problems if problem.action == "left out" and problem.reason != TWICE]
    n_files = n_taken + len(found)
    reasons = Counter(problem.reason for problem in found)
    warnings = []
    for reason, n in reasons.items():
        if reason not in told and reason not in _OF_CLASSES and (reason in _ALWAYS or n > _MANY * n_files):
            warnings.append(f"{_what(reason, n)} left out, {reason}: {_places(found, reason)}")
            told.add(reason)
    rest = {reason: n for reason, n in reasons.items() if reason not in told and reason not in _OF_CLASSES}
    if sum(rest.values()) > _MANY * n_files:
        listed = ", ".join(f"{reason} ({n:,})" for reason, n in rest.items())
        warnings.append(f"{sum(rest.values()):,} of {count(n_files, 'file')} are left out: {listed}")
        told.update(rest)
    return warnings


def _what(reason: str, n: int) -> str:
    if reason in (READ_ALREADY, DEAD_LINK):
        return count(n, "link")
    if reason in (NO_FOLDER, EMPTY_SPLIT):
        return count(n, "folder")
    if reason == NO_PERMISSION:
        return count(n, "file or folder", "files or folders")
    return count(n, "file" if reason == NOT_AN_IMAGE else "image")


def _places(problems: Iterable[Problem], reason: str) -> str:
    """Where what was left out for a reason lies: folders with counts, those with the most first."""
    files = [problem.file for problem in problems if problem.reason == reason]
    if len(files) == 1 or reason in (READ_ALREADY, DEAD_LINK, NO_FOLDER, EMPTY_SPLIT):
        return ", ".join(shown(file, 60) for file in files[:3]) + (", ..." if len(files) > 3 else "")
    return named_counts(Counter(_ROW.sub("", file.rpartition("/")[0] or file) for file in files), 3)


def hidden_warning(hidden: Mapping[str, int]) -> str:
    """That images lie in hidden folders, which are passed over: `.net` may be a class."""
    n = sum(hidden.values())
    return f"{count(n, 'image')} passed over, in a hidden folder: {named_counts(hidden, 3)}; rename it if it is a class"


def named_counts(counts: Mapping[str, int], n: int) -> str:
    """`cat (12), dog (3), ...`: the `n` with the most."""
    more = ", ..." if len(counts) > n else ""
    return ", ".join(f"{shown(name, 60)} ({k:,})" for name, k in Counter(counts).most_common(n)) + more
