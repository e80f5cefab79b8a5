from __future__ import annotations

import pytest

from clipft_cli.engine.labels.folder_names import MAX_NAME_BYTES, copied_name, folder_name, folder_names


@pytest.mark.parametrize(
    "label", ["../../etc", "a/b", ".hidden", "a\nb", "", " ", "x" * 5000, "猫" * 500, "\ud800", "nul"]
)
def test_a_label_is_always_one_safe_folder(label: str) -> None:
    name = folder_name(label)
    assert name not in ("", "nul")
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name.encode()) <= MAX_NAME_BYTES


def test_labels_that_would_share_a_folder_get_one_each() -> None:
    found = folder_names(["a/b", "a_b", "A_B", "a?b", "cat"])
    assert (found[1], found[4]) == ("a_b", "cat")
    assert len({name.casefold() for name in found}) == 5
    assert [name[:4] for name in (found[0], found[2], found[3])] == ["a_b-", "A_B-", "a_b-"]


def test_long_labels_that_differ_at_their_end_stay_apart() -> None:
    found = folder_names(["x" * 500 + "1", "x" * 500 + "2"])
    assert found[0] != found[1]
    assert max(len(name) for name in found) <= MAX_NAME_BYTES


def test_no_folder_gets_a_name_that_listings_pass_over() -> None:
    assert folder_names(["lost", "found"], lambda name: name == "lost") == ["_lost", "found"]


def test_copies_never_overwrite_each_other_not_even_where_case_does_not_count() -> None:
    taken: set[str] = set()
    assert [copied_name(name, taken) for name in ("a.jpg", "A.jpg", "a.jpg")] == ["a.jpg", "A-2.jpg", "a-3.jpg"]
