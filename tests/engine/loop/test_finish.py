"""After training: the walk from start to fine-tuned, and a temperature that is kept only where it helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clipft_cli.engine.loop.finish import calibrate, mixed
from clipft_cli.engine.metrics import METRICS
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.calibration import fit_temperature
from clipft_cli.engine.metrics.val import metrics_of

GENERATOR = torch.Generator().manual_seed(0)
SHAPES = {"adapters.q.lora_A": (2, 5), "adapters.q.lora_B": (7, 2), "head.weight": (3, 5)}


def draws() -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape, generator=GENERATOR) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_of_adapters_alpha_is_the_scale(alpha):
    start, tuned = draws(), draws()
    start["adapters.q.lora_B"] = torch.zeros(7, 2)
    mix = mixed(start, tuned, alpha)
    whole = tuned["adapters.q.lora_B"] @ tuned["adapters.q.lora_A"]
    torch.testing.assert_close(mix["adapters.q.lora_B"] @ mix["adapters.q.lora_A"], alpha * whole)
    torch.testing.assert_close(
        mix["head.weight"], (1 - alpha) * start["head.weight"] + alpha * tuned["head.weight"], rtol=1e-5, atol=1e-6
    )


def test_macro_f1_on_val_is_that_of_a_report():
    """Over the classes that occur: the third has no image here."""
    logits = torch.eye(3)[torch.tensor([0, 0, 1, 2])]
    labels = torch.tensor([0, 0, 1, 1])
    report = METRICS["macro_f1"].measured(Answers(logits.numpy(), labels.numpy()), n_resamples=10)
    assert metrics_of(logits, labels)["macro_f1"] == report.value == pytest.approx((1 + 2 / 3) / 2)


def small_val(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(0, 2, (12, 3))), torch.from_numpy(rng.integers(0, 3, 12))


def test_a_temperature_that_makes_the_probabilities_worse_is_not_kept():
    kept = {seed: calibrate(*small_val(seed)) for seed in range(20)}
    assert all(after <= before for _, before, after in kept.values())
    for seed, (temperature, before, after) in kept.items():
        if temperature == 1.0:
            assert after == before
        else:
            assert temperature == fit_temperature(*(part.numpy() for part in small_val(seed)))
    assert {temperature == 1.0 for temperature, _, _ in kept.values()} == {True, False}
