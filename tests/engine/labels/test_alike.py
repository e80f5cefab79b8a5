from __future__ import annotations

import pytest

from clipft_cli.engine.labels.alike import alike, difference, sounds_missing
from clipft_cli.engine.labels.names import class_name


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (["Cat", "cat"], "letter case"),
        (["cat", "cat "], "blanks"),
        (["Cat", "cat\xa0"], "letter case and blanks"),
        (["0", "0.0"], "the way one number is written"),
        (["01", "1", "1.0"], "the way one number is written"),
        (["cat", "cat\u200b"], "characters that cannot be seen"),
        (["CAT", "ＣＡＴ"], "the form of letters, quotes or dashes"),
        (["fine", "ﬁne"], "the form of letters, quotes or dashes"),
        (["cat's", "cat\u2019s"], "the form of letters, quotes or dashes"),
        (["C-3", "C\u20133"], "the form of letters, quotes or dashes"),
        (["golden retriever", "golden_retriever"], "blanks, hyphens or underscores"),
    ],
)
def test_labels_that_say_the_same_to_a_person_are_one_group(labels: list[str], what: str) -> None:
    names = sorted(class_name(label) for label in labels)
    assert alike([*names, "other"]) == [names]
    assert difference(names) == what


@pytest.mark.parametrize(
    "labels", [["A+", "A-", "A"], ["-1", "1"], ["C3", "C-3"], ["1", "1.5"], ["1", "one"], ["a/b", "a_b"], ["x2", "x²"]]
)
def test_labels_that_differ_in_more_stay_apart(labels: list[str]) -> None:
    assert alike(labels) == []


def test_what_programs_write_where_there_is_no_label_is_known() -> None:
    assert [sounds_missing(label) for label in ("nan", "NaN ", "None", "N/A", "naan", "0")] == [True] * 4 + [False] * 2
