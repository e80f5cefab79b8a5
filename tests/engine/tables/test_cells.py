from __future__ import annotations

import math

import pytest

from clipft_cli.engine.tables.cells import ManyLabels, file_text, label_text


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (" cat ", "cat"),
        (["cat"], "cat"),
        ([["cat"]], "cat"),
        ("['cat']", "cat"),
        ('["cat"]', "cat"),
        (b"cat", "cat"),
        ("b'cat'", "cat"),
        (b"\xff", "\udcff"),
        (1, "1"),
        (1.0, "1"),
        (1.5, "1.5"),
        (True, "True"),
        ("[cat]", "[cat]"),
        ("cat (big)", "cat (big)"),
        ("(1)", "(1)"),
        ("{cat}", "{cat}"),
        ("1.0", "1.0"),
        (None, None),
        (math.nan, None),
        ("  ", None),
        ([], None),
        ("[]", None),
    ],
)
def test_a_cell_says_one_label_or_none(cell: object, label: str | None) -> None:
    assert label_text(cell) == label


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (["cat", "dog"], "several, 2 labels"),
        ("['cat', 'dog']", "several, 2 labels"),
        ({"name": "cat", "id": 3}, r"fields with names \(name, id\)"),
        ('{"name": "cat"}', r"fields with names \(name\)"),
    ],
)
def test_several_labels_and_fields_with_names_are_none(cell: object, what: str) -> None:
    with pytest.raises(ManyLabels, match=what):
        label_text(cell)


def test_numbers_of_files_are_whole() -> None:
    assert [file_text(cell) for cell in (7.0, 7, " a.jpg ", b"a.jpg", ["a.jpg"], math.nan, "")] == [
        "7",
        "7",
        "a.jpg",
        "a.jpg",
        "a.jpg",
        None,
        None,
    ]
