"""The average of the weights: its formula, and that looking through it changes nothing."""

from __future__ import annotations

import math

import torch

from clipft_cli.engine.optim.ema import EMA


def test_the_average_follows_its_formula():
    weights = {"w": torch.tensor([0.0, 1.0])}
    ema = EMA(weights, horizon_steps=4)
    expected = weights["w"].clone()
    for step in range(1, 101):
        weights["w"] += 1.0
        ema.update(weights)
        decay = min(math.exp(-1 / 4), step / (step + 10))
        expected = decay * expected + (1 - decay) * weights["w"]
    torch.testing.assert_close(ema.average["w"], expected)


def test_weights_that_stay_are_their_own_average():
    weights = {"w": torch.randn(7)}
    ema = EMA(weights, horizon_steps=10)
    for _ in range(30):
        ema.update(weights)
    assert torch.equal(ema.average["w"], weights["w"])


def test_the_average_starts_at_the_weights_and_does_not_share_memory():
    weights = {"w": torch.ones(3)}
    ema = EMA(weights, horizon_steps=10)
    weights["w"] += 5
    assert torch.equal(ema.average["w"], torch.ones(3))


def test_swapping_in_and_out_leaves_every_bit():
    weights = {"w": torch.randn(9), "b": torch.randn(2)}
    ema = EMA(weights, horizon_steps=3)
    for value in weights.values():
        value.mul_(1.7)
    ema.update(weights)
    before = {name: value.clone() for name, value in weights.items()}
    average = {name: value.clone() for name, value in ema.average.items()}
    with ema.swapped_in(weights):
        assert all(torch.equal(weights[name], average[name]) for name in weights)
        assert not torch.equal(weights["w"], before["w"])
    assert all(torch.equal(weights[name], before[name]) for name in weights)


def test_weights_come_back_after_an_error():
    weights = {"w": torch.zeros(2)}
    ema = EMA(weights, horizon_steps=3)
    weights["w"] += 1
    try:
        with ema.swapped_in(weights):
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(weights["w"], torch.ones(2))
