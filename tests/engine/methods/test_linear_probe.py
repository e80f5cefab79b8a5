"""The probe: scikit-learn's answer, chosen on val, carried over into a head without a change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from clipft_cli.config.methods import LinearProbeConfig
from clipft_cli.engine.methods.linear_probe import Probe, fit_probe

Split = tuple[torch.Tensor, torch.Tensor]


def top1_on(val: Split) -> Callable[[torch.Tensor], tuple[float]]:
    return lambda logits: (float((logits.argmax(dim=1) == val[1]).double().mean()),)


def fitted(
    train: Split, val: Split, classes: int, *c_values: float, temperature: Callable[[torch.Tensor], float] | None = None
) -> Probe:
    config = LinearProbeConfig(c_values=c_values)
    temperature_of = temperature or (lambda logits: 1.0)
    return fit_probe(train, val[0], classes, config, temperature_of=temperature_of, rank_of=top1_on(val))


def cloud(n: int, classes: int, seed: int, spread: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    centres = torch.eye(classes, 8)
    return centres[labels] + spread * torch.randn(n, 8, generator=generator), labels


@torch.no_grad()
def answers(probe: Probe, split: Split) -> torch.Tensor:
    return probe.head()(split[0])


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_head_answers_as_scikit_learn_does(classes):
    train, val = cloud(60, classes, 0), cloud(30, classes, 1)
    probe = fitted(train, val, classes, 1.0)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(F.normalize(train[0]).numpy(), train[1].numpy())
    probabilities = answers(probe, (5 * val[0], val[1])).softmax(dim=1)  # features of any length
    expected = torch.from_numpy(model.predict_proba(F.normalize(val[0]).numpy())).float()
    torch.testing.assert_close(probabilities, expected, rtol=1e-3, atol=1e-4)


def test_the_strongest_regularisation_among_equals_is_kept():
    easy = cloud(60, 3, 0, spread=0.05)
    assert fitted(easy, easy, 3, 100.0, 1.0, 10.0).c == 1.0


def test_the_temperature_is_asked_of_the_fitted_logits_and_divides_them():
    train, val = cloud(60, 3, 0), cloud(30, 3, 1)
    plain = fitted(train, val, 3, 1.0)
    asked: list[torch.Tensor] = []
    half = fitted(train, val, 3, 1.0, temperature=lambda logits: asked.append(logits) or 0.5)
    torch.testing.assert_close(asked[0], answers(plain, val))
    torch.testing.assert_close(answers(half, val), 2 * answers(plain, val))
    torch.testing.assert_close(half.head().weight, plain.head().weight)


def test_val_chooses():
    train, val = cloud(24, 3, 0, 0.9), cloud(600, 3, 1, 0.9)
    grid = (0.001, 1.0, 1000.0)
    values = {c: top1_on(val)(answers(fitted(train, val, 3, c), val)) for c in grid}
    assert len(set(values.values())) == 3
    assert fitted(train, val, 3, *grid).c == max(values, key=values.__getitem__)


def test_a_class_without_training_images_is_never_the_answer():
    features, labels = cloud(60, 3, 0)
    kept = labels != 1
    probe = fitted((features[kept], labels[kept]), (features, labels), 4, 0.1, 10.0)
    assert set(answers(probe, (features, labels)).argmax(dim=1).tolist()) == {0, 2}
