"""Tower and head: cosines at CLIP's own temperature, in float32; and BatchNorm on stored statistics."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_world import FAMILIES, write_model

from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.classifier import (
    Classifier,
    CosineHead,
    LinearHead,
    let_go_of_text,
    logit_scale_of,
)

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def load(tmp_path, open_clip_models):
    def load(family: str):
        architecture, weights = write_model(tmp_path, family)
        return load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights))).model

    return load


def test_a_cosine_head_knows_directions_only():
    features, weight = torch.randn(5, 8), torch.randn(3, 8)
    expected = 20 * F.normalize(features, dim=1) @ F.normalize(weight, dim=1).T
    torch.testing.assert_close(CosineHead(weight, 20.0)(features), expected)
    torch.testing.assert_close(CosineHead(7 * weight, 20.0)(3 * features), expected)


def test_the_scale_is_at_most_100_and_does_not_train():
    head = CosineHead(torch.eye(2), 500.0)
    assert float(head.scale) == 100.0
    assert [name for name, _ in head.named_parameters()] == ["weight"]


def test_a_linear_head_without_bias_starts_as_the_cosine_head():
    features, weight = torch.randn(5, 8), F.normalize(torch.randn(3, 8), dim=1)
    torch.testing.assert_close(LinearHead(weight, None, 30.0)(features), CosineHead(weight, 30.0)(features))


def test_a_head_keeps_no_memory_of_what_it_was_made_from():
    weight = torch.ones(2, 4)
    head = CosineHead(weight, 1.0)
    weight += 1
    assert torch.equal(head.weight, torch.ones(2, 4))


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_open_clips_own(load, family):
    clip = load(family).eval()
    classifier = Classifier(
        clip, CosineHead(torch.eye(3, clip.encode_image(IMAGES, normalize=False).shape[1]), 1.0)
    ).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            classifier.features(IMAGES), clip.encode_image(IMAGES, normalize=False), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("family", ["vit", "resnet", "convnext"])
def test_logits_are_float32_under_autocast(load, family):
    classifier = Classifier(load(family), CosineHead(torch.eye(3, 24), 10.0)).eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert classifier(IMAGES).dtype == torch.float32


@pytest.mark.parametrize("family", ["vit", "resnet", "timm-vit"])
def test_checkpointed_blocks_change_no_gradient(load, family):
    gradients = []
    for checkpoint in (False, True):
        classifier = Classifier(load(family), CosineHead(torch.eye(3, 24), 10.0), checkpoint_blocks=checkpoint)
        classifier.train()
        classifier(IMAGES).square().sum().backward()
        gradients.append({n: p.grad for n, p in classifier.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["resnet", "timm-resnet"])
def test_batch_norm_stays_on_stored_statistics(load, family):
    classifier = Classifier(load(family), CosineHead(torch.eye(3, 24), 10.0))
    classifier.train()
    before = {name: value.clone() for name, value in classifier.named_buffers()}
    assert any("running_mean" in name for name in before)
    whole = classifier(IMAGES)
    single = torch.cat([classifier(image[None]) for image in IMAGES])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in classifier.named_buffers())


@pytest.mark.parametrize(("logit_scale", "scale"), [(math.log(20.0), 20.0), (5.0, 100.0)])
def test_the_temperature_is_clips_own_at_most_100(load, logit_scale, scale):
    clip = load("vit")
    with torch.no_grad():
        clip.logit_scale.fill_(logit_scale)
    assert logit_scale_of(clip) == pytest.approx(scale)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_its_text_tower_a_model_still_sees_and_counts(load, family):
    classifier = Classifier(load(family), CosineHead(torch.eye(3, 24), 1.0)).eval()
    expected = classifier.features(IMAGES)
    n_before = sum(parameter.numel() for parameter in classifier.parameters())
    let_go_of_text(classifier.clip)
    held = {name for name, parameter in classifier.clip.named_parameters() if not parameter.is_meta}
    assert all(name.startswith(("visual.", "logit_")) for name in held)
    assert sum(parameter.numel() for parameter in classifier.parameters()) == n_before
    assert torch.equal(classifier.features(IMAGES), expected)
