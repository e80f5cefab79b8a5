"""A column of a table as splits: what its words stand for, or why it is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...config.data import SplitName
from ..files.visible import shown
from ..tables.cells import label_text
from ..tables.table import Table
from .column_words import FLAGS, SPLIT, is_called, plain
from .split_words import NUMBERED
from .split_words import split_word as named_split

_OPEN = frozenset({"", "unassigned", "none", "null", "nan", "na", "n/a", "-"})
_YES, _NO = frozenset({"1", "true", "yes", "y", "t"}), frozenset({"0", "false", "no", "n", "f"})
_FEW = 0.05
"""Of the rows: so many may hold another word and the column still be one of splits."""


@dataclass(frozen=True)
class SplitColumn:
    """`words` are what the cells say, in lower case, and the split of each; None: clipft decides.

    `unknown` counts the words that are no split. `how` says what was understood, where it is not the words themselves.
    """

    name: str
    words: Mapping[str, SplitName | None]
    unknown: Mapping[str, int] = field(default_factory=dict)
    n_rows: int = 0
    how: str = ""

    @property
    def is_of_splits(self) -> bool:
        """Whether some rows are train, val or test."""
        return any(self.words.values())

    @property
    def is_numbered(self) -> bool:
        """Whether two or three numbers stand there, which may be splits in an order that nobody says."""
        return 2 <= len(self.unknown) <= 3 and all(word.isdigit() and len(word) == 1 for word in self.unknown)

    @property
    def is_mixed(self) -> bool:
        """Whether too many rows hold words that are no splits beside those that are."""
        return self.is_of_splits and sum(self.unknown.values()) > _FEW * self.n_rows

    def split_of(self, cell: Any) -> SplitName | None:
        """The split of a row. Raises KeyError for a word that is none."""
        return self.words[split_word(cell)]

    def examples(self) -> str:
        """The words that are no splits, the most frequent first, with their counts."""
        return ", ".join(f"{shown(word, 30) or 'nothing'} ({n:,} rows)" for word, n in list(self.unknown.items())[:5])


def is_split_name(name: str) -> bool:
    """Whether a column sounds like one of splits."""
    return is_called(name, SPLIT) or plain(name) in FLAGS


def split_word(cell: Any) -> str:
    """What a cell says, as split words are looked up."""
    text = label_text(cell)
    return "" if text is None else text.casefold()


def read_split_column(table: Table, name: str) -> SplitColumn:
    """What the cells of column `name` say of splits."""
    words: dict[str, SplitName]
    counts = Counter(map(split_word, table.column(name)))
    said = set(counts) - _OPEN
    if plain(name) in FLAGS and said and said <= _YES | _NO:
        yes, no = FLAGS[plain(name)]
        words = {word: yes if word in _YES else no for word in said}
        how = f"yes as {yes}, no as {no}"
    elif said == set(NUMBERED) and counts["0"] >= max(counts["1"], counts["2"]):
        words, how = {word: NUMBERED[word] for word in said}, "0 as train, 1 as val, 2 as test"
    else:
        words, how = {word: named.split for word in said if (named := named_split(word)) and named.split}, ""
    unknown = {word: n for word, n in counts.most_common() if word in said and word not in words}
    return SplitColumn(name, {**words, **dict.fromkeys(_OPEN)}, unknown, sum(counts.values()), how)
