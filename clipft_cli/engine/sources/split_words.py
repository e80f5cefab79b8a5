"""What people call train, val and test: `training_set`, `Valid`, `seg_test`, `train2017`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ...config.data import SplitName

WORDS: dict[str, SplitName | None] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation", "holdout"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("unassigned", "unsplit"), None),
}
"""Whole words, in small letters. None: an image of it gets a split by the shares."""

_GLUED = re.compile(
    r"(train|training|valid|validation|val|test|testing)(set|data|dataset|images?|imgs?|split|pics|pictures|photos)"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[a-z]+", re.ASCII)


@dataclass(frozen=True)
class SplitWord:
    """What a word says: the split, None for one that is to be chosen; `is_exact`: the word alone, nothing around it."""

    split: SplitName | None
    is_exact: bool


def split_word(text: str) -> SplitWord | None:
    """The split that a folder's or a cell's text names, None where it names none, or several.

    The word may have others around it (`seg_train`, `test images`), years and numbers (`val2017`, `train-1`), and
    stand in any letter case.
    """
    text = unicodedata.normalize("NFKC", text)
    word = text.strip("\u200b\u200c\u200d\ufeff \t").casefold()
    if word in WORDS:
        return SplitWord(WORDS[word], True)
    found = {WORDS[part] for part in map(_bare, _PART.findall(text)) if part in WORDS}
    joined = re.sub(r"[\W_]", "", word)
    if joined in ("holdout", "trainval"):
        found = {WORDS[joined]}
    return SplitWord(found.pop(), False) if len(found) == 1 else None


def _bare(part: str) -> str:
    """A part in small letters, without the noun glued to it: `TrainSet` and `trainset` are `train`."""
    small = part.casefold()
    glued = _GLUED.fullmatch(small)
    return glued[1] if glued else small
