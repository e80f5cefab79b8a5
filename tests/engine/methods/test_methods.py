"""The contract of every method: it starts as the pretrained model, and what it lists is what it has."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from clipft_cli.config.commands import TrainConfig
from clipft_cli.config.methods import LoraConfig
from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.classifier import CosineHead
from clipft_cli.engine.model.layers import HEAD, STEM, TOP


@pytest.fixture(scope="module")
def clip(tiny):
    return load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights))).model


def attach(clip, method: str, **lora):
    head = CosineHead(F.normalize(torch.eye(3, 24), dim=1), 10.0)
    config = TrainConfig(method=method, lora=LoraConfig(**lora))
    return METHODS[method].attach(copy.deepcopy(clip).requires_grad_(False), head, config)


@pytest.mark.parametrize("method", METHODS)
def test_at_the_start_the_output_is_the_pretrained_models(clip, method):
    images = torch.randn(3, 3, 32, 32)
    classifier = attach(clip, method).eval()
    with torch.no_grad():
        expected = 10 * F.normalize(clip.eval().encode_image(images), dim=-1) @ torch.eye(3, 24).T
        torch.testing.assert_close(classifier(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_layers_name_parameters_that_are_there_and_none_twice(clip, method):
    classifier = attach(clip, method)
    names = [name for layer in METHODS[method].layers(classifier) for name in layer.parameters]
    assert len(set(names)) == len(names)
    assert set(names) <= set(dict(classifier.named_parameters()))


@pytest.mark.parametrize(
    ("method", "layers"),
    [
        ("zero_shot", []),
        ("linear_probe", [HEAD]),
        ("full", [STEM, "block.0", "block.1", "block.2", TOP, HEAD]),
        ("lora", ["block.0", "block.1", "block.2", HEAD]),
    ],
)
def test_what_each_method_may_change(clip, method, layers):
    assert [layer.name for layer in METHODS[method].layers(attach(clip, method))] == layers


def test_the_text_tower_never_trains(clip):
    for method in METHODS:
        listed = [name for layer in METHODS[method].layers(attach(clip, method)) for name in layer.parameters]
        assert not [name for name in listed if name.startswith(("clip.transformer", "clip.token_embedding"))]


def test_lora_layers_are_found_under_the_towers_names(clip):
    last = METHODS["lora"].layers(attach(clip, "lora", target_modules=("q_proj", "v_proj")))[2]
    assert "vision_model.encoder.layers.2" in last.names
    assert len(last.parameters) == 4


def test_lora_adapters_depend_on_the_seed_alone(clip):
    some, same = attach(clip, "lora"), attach(clip, "lora")
    torch.manual_seed(99)
    for name, value in some.adapters.state_dict().items():
        assert torch.equal(value, same.adapters.state_dict()[name])
