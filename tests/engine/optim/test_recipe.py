"""`auto` means a rule that joins the measured points."""

from __future__ import annotations

import pytest

from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.optim.recipe import epochs, learning_rate, resolve


@pytest.mark.parametrize(
    ("method", "parameters", "rate"),
    [
        ("full", 5_500_000, 8e-4),
        ("full", 86_000_000, 2.5e-5),
        ("full", 304_000_000, 5.1e-6),
        ("lora", 5_500_000, 3e-3),
        ("lora", 86_000_000, 4e-4),
    ],
)
def test_the_rate_falls_with_the_towers_size(method, parameters, rate):
    assert learning_rate(method, parameters) == rate


def test_a_small_tower_gets_no_more_than_was_measured():
    assert learning_rate("full", 100_000) == learning_rate("full", 5_500_000)


@pytest.mark.parametrize(("n_train", "n_epochs"), [(10, 30), (700, 10), (1000, 7), (50_000, 5)])
def test_about_seven_thousand_images_are_seen(n_train, n_epochs):
    assert epochs(n_train) == n_epochs


def test_what_is_given_stays_and_only_what_is_auto_is_said():
    config = load_config(TrainConfig, flags={"training.learning_rate": 3e-3, "training.num_epochs": "auto"})
    settled, rules = resolve(config.training, config.method, 700, 5_500_000)
    assert (settled.learning_rate, settled.num_epochs) == (3e-3, 10)
    assert rules == ["10 epochs: rule for 700 training images"]


@pytest.mark.parametrize(("parameters", "is_said"), [(5_500_000, False), (86_000_000, True)])
def test_a_rate_that_was_not_measured_at_this_size_says_so(parameters, is_said):
    config = load_config(TrainConfig, flags={"preset": "full"})
    _, rules = resolve(config.training, config.method, 700, parameters)
    assert ("not measured at this size" in rules[0]) is is_said


def test_own_presets_wait_for_the_end_of_their_cosine():
    for preset in ("full", "lora", "few-shot"):
        training = load_config(TrainConfig, flags={"preset": preset}).training
        assert training.schedule == "cosine"
        assert training.early_stopping.patience >= 10
