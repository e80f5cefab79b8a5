"""What of a run became its model is said in one place."""

from __future__ import annotations

import pytest

from clipft_cli.engine.checkpoint.kept import Kept, kept_of_card, kept_of_summary


@pytest.mark.parametrize(
    ("kept", "words", "label"),
    [
        (Kept(epoch=4, epochs=6), "epoch 4 of 6", "lora"),
        (
            Kept(epoch=4, start="probe", soup=(6, 4), alpha=0.5, epochs=6),
            "soup of epochs 4, 6 of 6, mixed with its start at alpha 0.5",
            "lora",
        ),
        (
            Kept(epoch=0, start="probe", alpha=0.0, epochs=6),
            "its start (linear probe)",
            "lora, its start kept (linear probe)",
        ),
        (
            Kept(epoch=0, start="text", alpha=0.0, epochs=6),
            "its start (class prompts)",
            "lora, its start kept (class prompts)",
        ),
        (Kept(epoch=0, alpha=0.0, epochs=6), "its start", "lora, its start kept"),
        (Kept(epoch=0, start="probe"), "linear probe", "lora"),
    ],
)
def test_words_and_label(kept, words, label):
    assert (kept.words, kept.label("lora")) == (words, label)


def test_a_probe_that_lost_to_the_prompts_is_no_probe():
    assert Kept(epoch=0, start="text").label("linear_probe") == "linear_probe, its start kept (class prompts)"
    assert Kept(epoch=0, start="probe").label("linear_probe") == "linear_probe"
    assert Kept(epoch=0, start="text").label("zero_shot") == "zero_shot"


@pytest.mark.parametrize(
    ("summary", "kept"),
    [
        ({"epochs": 6, "best_epoch": 4, "alpha": 1.0, "start_kind": "text"}, Kept(4, "text", epochs=6)),
        ({"epochs": 6, "best_epoch": 4, "alpha": 0.0, "start_kind": "probe"}, Kept(0, "probe", alpha=0.0, epochs=6)),
        ({"epochs": 6, "best_epoch": 4, "alpha": 0.5, "soup": {"epochs": [4]}}, Kept(4, alpha=0.5, epochs=6)),
        ({"epochs": 6, "best_epoch": 4, "soup": {"epochs": [4, 2]}}, Kept(4, soup=(4, 2), epochs=6)),
        ({"epochs": 0, "alpha": 1.0, "start_kind": "probe"}, Kept(0, "probe")),
        ({"epochs": "x", "alpha": None, "best_epoch": [], "soup": 3, "start_kind": 1}, Kept(0)),
    ],
)
def test_a_summary_of_any_version_says_it(summary, kept):
    assert kept_of_summary(summary) == kept


def test_a_card_of_an_earlier_version_says_it_by_its_mix():
    assert kept_of_card({"metrics": {"wise_ft_alpha": 0.0}}).label("full") == "full, its start kept"
    assert kept_of_card({"metrics": {"wise_ft_alpha": 0.5}}) is None
    assert kept_of_card({"metrics": None}) is None
