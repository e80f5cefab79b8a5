from __future__ import annotations

import pytest

from clipft_cli.engine.labels.prompt_words import MAX_WORDS_BYTES, readable_names


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("n02099601-golden_retriever", "golden retriever"),
        ("AnnualCrop", "annual crop"),
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
def test_labels_are_made_readable(folder: str, words: str) -> None:
    assert readable_names([folder, "other"])[0] == words


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["001.Black_footed_Albatross", "017.Cardinal"], ["black footed albatross", "cardinal"]),
        (["1.cat", "2.dog", "3.fox"], ["cat", "dog", "fox"]),
        (["01 cat", "02 dog"], ["cat", "dog"]),
        (["3-toed_sloth", "cat"], ["3 toed sloth", "cat"]),
        (["001.cat", "dog"], ["001.cat", "dog"]),
        (["3-toed_sloth", "7-up", "90-degree_bend"], ["3 toed sloth", "7 up", "90 degree bend"]),
        (["2-door", "4-door"], ["2 door", "4 door"]),
        (["1-star", "2-stars", "3-stars"], ["1 star", "2 stars", "3 stars"]),
        (["1-person", "2-people"], ["1 person", "2 people"]),
        (["1", "2", "3"], ["1", "2", "3"]),
    ],
)
def test_numbers_in_front_are_taken_off_only_where_they_number_all_classes(labels: list[str], words: list[str]) -> None:
    assert readable_names(labels) == words


def test_labels_that_would_read_alike_are_told_apart() -> None:
    names = readable_names(["n01-x", "n02099601-crane", "n02012849-crane", "crane_"])
    assert len(set(names)) == 4
    assert names[1] != "crane"
    assert readable_names(["a", "a", "a (2)"]) == ["a", "a (3)", "a (2)"]


def test_of_a_long_label_the_end_is_kept_which_tells_it_from_its_neighbours() -> None:
    path = "home > " + "kitchen and dining > " * 10
    rack, filter_ = readable_names([path + "toaster racks", path + "kettle filters"])
    assert rack.endswith("toaster racks")
    assert filter_.endswith("kettle filters")
    assert max(len(rack), len(filter_)) <= MAX_WORDS_BYTES
