"""The probe: scikit-learn's answer, chosen on val, carried over into a head without a change."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from clipft_cli.config.methods import LinearProbeConfig
from clipft_cli.engine.methods.linear_probe import fit_probe


def cloud(n: int, classes: int, seed: int, spread: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    centres = torch.eye(classes, 8)
    return centres[labels] + spread * torch.randn(n, 8, generator=generator), labels


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_head_answers_as_scikit_learn_does(classes):
    train, val = cloud(60, classes, 0), cloud(30, classes, 1)
    probe = fit_probe(train, val, classes, LinearProbeConfig(c_values=(1.0,)))
    model = LogisticRegression(C=1.0, max_iter=1000).fit(F.normalize(train[0]).numpy(), train[1].numpy())
    with torch.no_grad():
        probabilities = probe.head()(5 * val[0]).softmax(dim=1)  # features of any length
    expected = torch.from_numpy(model.predict_proba(F.normalize(val[0]).numpy())).float()
    torch.testing.assert_close(probabilities, expected, rtol=1e-3, atol=1e-4)
    assert probe.val_top1 == pytest.approx(float((expected.argmax(1) == val[1]).double().mean()))


def test_the_strongest_regularisation_among_equals_is_kept():
    easy = cloud(60, 3, 0, spread=0.05)
    assert fit_probe(easy, easy, 3, LinearProbeConfig(c_values=(100.0, 1.0, 10.0))).c == 1.0


def test_val_chooses():
    train, val = cloud(24, 3, 0, 0.9), cloud(600, 3, 1, 0.9)
    probes = [fit_probe(train, val, 3, LinearProbeConfig(c_values=(c,))) for c in (0.001, 1.0, 1000.0)]
    chosen = fit_probe(train, val, 3, LinearProbeConfig(c_values=(0.001, 1.0, 1000.0)))
    assert chosen.val_top1 == max(probe.val_top1 for probe in probes)


def test_a_class_without_training_images_is_never_the_answer():
    features, labels = cloud(60, 3, 0)
    kept = labels != 1
    probe = fit_probe((features[kept], labels[kept]), (features, labels), 4, LinearProbeConfig())
    with torch.no_grad():
        answers = set(probe.head()(features).argmax(dim=1).tolist())
    assert answers == {0, 2}
