from __future__ import annotations

import pytest

from clipft_cli.engine.sources.group_columns import group_columns

N = 24


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("patient_id", "{third}"),
        ("subj", "{third}"),
        ("Slides", "{third}"),
        ("code", "P{third:03d}"),
        ("x", "case-{third}"),
        ("hash", "{third:08x}"),
    ],
)
def test_columns_of_things_are_groups_by_their_name_or_by_their_cells(name: str, cell: str) -> None:
    cells = [cell.format(third=i // 3) for i in range(N)]
    assert group_columns({"other": ["x"] * N, name: cells}) == {name: 8}


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("patient_id", "{i}"),
        ("patient_id", "p"),
        ("age", "{third}"),
        ("colour", "red"),
        ("code", "P{i}"),
        ("code", "P{two}"),
        ("note", "seen {third} times by a nurse"),
    ],
)
def test_columns_of_other_cells_are_none(name: str, cell: str) -> None:
    assert group_columns({name: [cell.format(i=i, third=i // 3, two=i % 2) for i in range(N)]}) == {}


def test_a_name_counts_before_the_cells() -> None:
    cells = [f"P{i // 3}" for i in range(N)]
    assert group_columns({"code": cells, "clip": cells}) == {"clip": 8}
