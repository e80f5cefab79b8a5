from __future__ import annotations

import csv
from pathlib import Path

import pytest

from clipft_cli.engine.files.visible import shown
from clipft_cli.engine.labels.names import class_name, class_order, copied_name, readable_name, readable_names
from clipft_cli.engine.sources.problems import Problem, write_problems


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("n02099601-golden_retriever", "golden retriever"),
        ("AnnualCrop", "annual crop"),
        ("001.Black_footed_Albatross", "black footed albatross"),
        ("HerbaceousVegetation", "herbaceous vegetation"),
        ("german-shepherd", "german shepherd"),
        ("Egyptian_Mau", "egyptian mau"),
        ("class_01", "class 01"),
        ("BMW", "BMW"),
        ("MRIScan", "MRI scan"),
        ("7", "7"),
        ("猫", "猫"),
        ("كلب", "كلب"),
        ("__", "__"),
    ],
)
def test_folders_are_made_readable(folder: str, words: str) -> None:
    assert readable_name(folder) == words


def test_folders_that_would_read_alike_are_told_apart() -> None:
    names = readable_names(["n01-x", "n02099601-crane", "n02012849-crane", "crane_"])
    assert len(set(names)) == 4
    assert names[1] != "crane"


@pytest.mark.parametrize("label", ["../../etc", "a/b", ".hidden", "a\nb", "", " ", "x" * 5000, "猫" * 500, "\ud800"])
def test_a_label_is_always_one_safe_folder(label: str) -> None:
    name = class_name(label)
    assert name
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name.encode()) <= 120


def test_copies_never_overwrite_each_other_not_even_where_case_does_not_count() -> None:
    taken: set[str] = set()
    assert [copied_name(name, taken) for name in ("a.jpg", "A.jpg", "a.jpg")] == ["a.jpg", "A-2.jpg", "a-3.jpg"]


def test_what_is_shown_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in shown("\x1b[31mred\n")


def test_numbers_are_ordered_by_value_and_names_as_text() -> None:
    assert class_order(["10", "9", "1"]) == ["1", "9", "10"]
    assert class_order(["b", "B", "a"]) == ["B", "a", "b"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_no_cell_of_problems_csv_is_a_formula(tmp_path: Path, cell: str) -> None:
    write_problems(tmp_path / "problems.csv", [Problem(cell, cell, cell, cell)])
    with open(tmp_path / "problems.csv", encoding="utf-8", newline="") as file:
        _, row = csv.reader(file)
    for found in (row[0], row[1], row[3], row[4]):
        assert found.startswith("'")
