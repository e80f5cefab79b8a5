"""A hospital, a year, a camera as the test set: the honest test of a place that the model has never seen."""

from __future__ import annotations

from collections import Counter

from ...config.prepare import PrepareConfig
from ...errors import ConfigError
from ..files.visible import shown
from ..tables.cells import label_text
from ..tables.table import Table
from .column_words import plain
from .same_again import same_again
from .source import SourceRequest
from .split_column import SplitColumn

_N_SHOWN = 8


def read_holdout(place: str, table: Table, request: SourceRequest) -> SplitColumn:
    """The column of --holdout-column, each COLUMN=VALUE, as one of splits: those values are test, all others are open.

    Raises ConfigError for a column that is not there, for two of them, and for a value that no row has.
    """
    wishes = request.options.holdout_column
    found = [_parted(place, table, wish) for wish in wishes]
    columns = list(dict.fromkeys(column for column, _ in found))
    if len(columns) > 1:
        raise ConfigError(f"--holdout-column names two columns, {' and '.join(columns)}; one can be held out")
    counts = Counter(label_text(cell) or "" for cell in table.column(columns[0]))
    values = [_value_of(value, counts) for _, value in found]
    for (column, asked), value in zip(found, values, strict=True):
        if value is None:
            ways = [name for name, _ in counts.most_common() if name][:_N_SHOWN]
            named = ", ".join(f"{shown(name, 40)} ({counts[name]:,} rows)" for name in ways)
            what = f"has no value '{shown(asked, 40)}'" if asked is not None else "needs the value that is to be test"
            options = request.options.model_copy(update={"holdout_column": tuple(f"{column}={v}" for v in ways[:1])})
            way = same_again(PrepareConfig(seed=request.seed, prepare=options))
            raise ConfigError(
                f"{place}: --holdout-column: column '{shown(column, 40)}' {what}; it holds {named or 'nothing'}",
                hint=f"`{way}` holds one of them out" if ways else "",
            )
    held = {value for value in values if value is not None}
    n = sum(counts[value] for value in held)
    if n == sum(counts.values()):
        raise ConfigError(
            f"{place}: --holdout-column {shown(wishes[0], 60)}: all rows have this value, none is left to train on",
            hint="`--split 0/0/1` makes a set that is for measuring only",
        )
    words = {value.casefold(): "test" if value in held else None for value in counts}
    return SplitColumn(columns[0], words, {}, sum(counts.values()), how=f"{n:,} rows held out as test")  # type: ignore[arg-type]


def _parted(place: str, table: Table, wish: str) -> tuple[str, str | None]:
    """The column and the value of a wish, either of which may hold `=`; None: no value is said."""
    cuts = [i for i, char in enumerate(wish) if char == "="]
    for said, value in [(wish, None), *((wish[:i], wish[i + 1 :]) for i in reversed(cuts))]:
        same = [name for name in table.names if name == said.strip()]
        same = same or [name for name in table.names if plain(name) and plain(name) == plain(said)]
        if len(same) == 1:
            return same[0], value
    names = ", ".join(shown(name, 40) for name in table.names[:20])
    raise ConfigError(
        f"{place}: --holdout-column {shown(wish, 60)}: there is no such column; columns: {names}",
        hint="it is given as COLUMN=VALUE, as in `--holdout-column hospital=Oslo`",
    )


def _value_of(asked: str | None, counts: Counter[str]) -> str | None:
    """The value of the table that is meant; None where there is none such."""
    if asked is None:
        return None
    word = asked.strip().casefold()
    return next((value for value in counts if value and value.strip().casefold() == word), None)
