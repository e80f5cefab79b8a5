"""Patients are no classes: folders of one thing each are told by their names and by what stands in many of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipft_cli.engine.sources.numbered_things import things_with_classes
from clipft_cli.engine.sources.shape import shape_of
from clipft_cli.engine.sources.tree import walk


def found(tmp_path: Path, *folders: str) -> list[tuple[int, str, list[str]]]:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.png").write_bytes(b"")
    kids = shape_of(walk(tmp_path)).full()
    return [(depth, field, classes) for depth, _, field, classes in things_with_classes(kids)]


def test_few_words_that_stand_in_many_folders_of_a_series_are_the_classes(tmp_path: Path) -> None:
    patients = ("p01/ill", "p02/well", "p03/ill", "p03/well")
    assert found(tmp_path, *patients) == [(0, "{class}", ["ill", "well"])]


def test_a_number_before_the_word_does_not_count(tmp_path: Path) -> None:
    studies = ("a1/study1_positive", "a2/study1_negative", "a2/study2_positive", "a3/study3_negative")
    assert found(tmp_path, *studies) == [(0, r"{:study\d+_}{class}", ["negative", "positive"])]


def test_they_may_lie_below_folders_that_seemed_to_be_classes(tmp_path: Path) -> None:
    limbs = ("hand/p1/ill", "hand/p2/well", "foot/p3/ill", "foot/p4/well")
    assert found(tmp_path, *limbs) == [(1, "{class}", ["ill", "well"])]


@pytest.mark.parametrize(
    "folders",
    [
        ("cat/indoor", "dog/indoor", "cow/outdoor"),  # no series
        ("c1/cam1", "c2/cam1", "c3/cam2"),  # a series inside as well
        ("c1/images", "c2/images", "c3/masks"),  # parts of a data set
        ("c1/train", "c2/train", "c3/test"),  # splits
        ("n1/terrier", "n2/owl", "n3/crow"),  # each stands in one alone
        ("p1/ill", "p2/well"),  # too few to be a series
    ],
)
def test_other_folders_in_folders_are_none(tmp_path: Path, folders: tuple[str, ...]) -> None:
    assert found(tmp_path, *folders) == []
