"""Fewer images: every class keeps its share."""

from __future__ import annotations

from collections import Counter

import pytest

from clipft_cli.engine.images.subset import draw_subset
from clipft_cli.engine.manifest import Row

SIZES = {0: 100, 1: 10, 2: 3, 3: 1}
ROWS = tuple(Row(f"{label}/{i:03}.jpg", label, "train", "0" * 64, 1) for label, n in SIZES.items() for i in range(n))


def counts(**wish: object) -> dict[int, int]:
    return Counter(row.label for row in draw_subset(ROWS, **{"fraction": 1.0, "few_shot": None, "seed": 0, **wish}))


def test_everything_is_every_row():
    assert draw_subset(ROWS, fraction=1.0, few_shot=None, seed=0) == ROWS


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [(0.1, {0: 10, 1: 1, 2: 1, 3: 1}), (0.5, {0: 50, 1: 5, 2: 2, 3: 1}), (0.001, {0: 1, 1: 1, 2: 1, 3: 1})],
)
def test_a_fraction_is_taken_of_each_class(fraction, kept):
    assert counts(fraction=fraction) == kept


def test_few_shot_is_a_number_of_each_class_where_there_are_so_many():
    assert counts(few_shot=4) == {0: 4, 1: 4, 2: 3, 3: 1}
    assert counts(few_shot=4, fraction=0.1) == {0: 4, 1: 1, 2: 1, 3: 1}


def test_it_is_not_the_first_rows_that_are_kept():
    kept = draw_subset(ROWS, fraction=0.1, few_shot=None, seed=0)
    assert kept[:10] != ROWS[:10]
    assert list(kept) == sorted(kept, key=ROWS.index)


def test_it_is_a_function_of_the_seed():
    draws = [draw_subset(ROWS, fraction=0.2, few_shot=None, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_more_shots_hold_the_fewer_ones():
    few, more = (set(draw_subset(ROWS, fraction=1.0, few_shot=k, seed=0)) for k in (2, 5))
    assert few < more
