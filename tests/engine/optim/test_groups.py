"""Parameter groups: the reference's layer-wise rates to the digit, and no parameter twice or left out."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch
from tiny_world import EMBED_DIM, FAMILIES, TEXT
from torch import nn

from clipft_cli.config.optim import LayerwiseLRConfig, ProgressiveUnfreezingConfig, TrainingConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.classifier import Classifier, CosineHead
from clipft_cli.engine.model.layers import HEAD, STEM, TOP, Layer
from clipft_cli.engine.optim.build import LearningRates, build_optimizer
from clipft_cli.engine.optim.groups import build_groups, is_decayed, layer_factors
from clipft_cli.engine.optim.unfreeze import plan_unfreezing

TWELVE = (
    Layer(STEM, ("conv.weight",)),
    *(Layer(f"block.{i}", (f"block.{i}.weight", f"block.{i}.bias")) for i in range(12)),
    Layer(TOP, ("proj",)),
    Layer(HEAD, ("head.weight",)),
)
PARAMETERS = {
    name: nn.Parameter(torch.zeros(2) if name.endswith("bias") else torch.zeros(2, 3))
    for layer in TWELVE
    for name in layer.parameters
}
REFERENCE = TrainingConfig(learning_rate=1e-5, layerwise_lr=LayerwiseLRConfig(decay_rate=0.95))


@pytest.fixture
def build(tmp_path, open_clip_models):
    def build(family: str, method: str = "full") -> tuple[Classifier, tuple[Layer, ...]]:
        path = tmp_path / f"groups-{family}.json"
        path.write_text(json.dumps({"embed_dim": EMBED_DIM, "text_cfg": TEXT, **FAMILIES[family]}))
        open_clip.add_model_config(path)
        clip = open_clip.create_model(path.stem).requires_grad_(False)
        head = CosineHead(torch.eye(3, FAMILIES[family].get("embed_dim", EMBED_DIM)), 10.0)
        settings = MethodSettings.of(TrainConfig(method=method))
        classifier = METHODS[method].attach(clip, head, settings)
        return classifier, METHODS[method].layers(classifier, settings)

    return build


def test_layerwise_rates_equal_the_references_formula_to_the_digit():
    rates = {group.name: group.peak_lr for group in build_groups(PARAMETERS, TWELVE, REFERENCE)}
    for i in range(12):
        assert rates[f"block.{i}"] == 1e-5 * 0.95 ** (12 - 1 - i)
    assert rates["block.11"] == 1e-5
    assert f"{rates['block.0']:.3e}" == "5.688e-06"
    assert rates[STEM] == 1e-5 * 0.95**12
    assert rates[TOP] == rates[HEAD] == 1e-5


def test_a_layers_two_groups_learn_at_one_rate():
    groups = build_groups(PARAMETERS, TWELVE, REFERENCE)
    pairs = {(group.name.removesuffix("/no_decay"), group.peak_lr) for group in groups}
    assert len(pairs) == len(TWELVE)


def test_without_layerwise_rates_every_layer_learns_alike():
    assert set(layer_factors(TWELVE, LayerwiseLRConfig(enabled=False))) == {1.0}


def test_weight_decay_spares_biases_norms_and_embeddings():
    groups = build_groups(PARAMETERS, TWELVE, REFERENCE)
    assert {group.weight_decay for group in groups if group.name.endswith("/no_decay")} == {0.0}
    assert {group.weight_decay for group in groups if not group.name.endswith("/no_decay")} == {0.05}
    spared = {name for group in groups if group.weight_decay == 0 for name in group.parameters}
    assert spared == {f"block.{i}.bias" for i in range(12)}


@pytest.mark.parametrize(
    ("name", "shape", "decayed"),
    [
        ("clip.visual.conv1.weight", (8, 3, 2, 2), True),
        ("clip.visual.transformer.resblocks.0.attn.in_proj_weight", (24, 8), True),
        ("clip.visual.proj", (8, 4), True),
        ("head.weight", (3, 4), True),
        ("clip.visual.ln_post.weight", (8,), False),
        ("head.bias", (3,), False),
        ("clip.visual.positional_embedding", (5, 8), False),
        ("clip.visual.class_embedding", (8,), False),
        ("clip.visual.trunk.pos_embed", (1, 5, 8), False),
        ("clip.visual.trunk.cls_token", (1, 1, 8), False),
    ],
)
def test_what_decays(name, shape, decayed):
    assert is_decayed(name, nn.Parameter(torch.zeros(shape))) is decayed


@pytest.mark.parametrize(
    ("family", "method"),
    [*((family, "full") for family in FAMILIES), ("vit", "lora"), ("timm-vit", "lora"), ("vit", "linear_probe")],
)
def test_groups_hold_every_trainable_parameter_exactly_once(build, family, method):
    classifier, layers = build(family, method)
    everything = dict(classifier.named_parameters())
    grouped = [
        name
        for group in build_groups(everything, layers, TrainingConfig(learning_rate=1e-4))
        for name in group.parameters
    ]
    wanted = {
        "full": [name for name in everything if name.startswith(("clip.visual.", "head."))],
        "lora": [name for name in everything if name.startswith(("adapters.", "head."))],
        "linear_probe": [name for name in everything if name.startswith("head.")],
    }[method]
    assert sorted(grouped) == sorted(wanted)


def test_group_sizes_add_up(build):
    classifier, layers = build("vit")
    everything = dict(classifier.named_parameters())
    groups = build_groups(everything, layers, TrainingConfig(learning_rate=1e-4))
    own = [p.numel() for name, p in everything.items() if name.startswith(("clip.visual.", "head."))]
    assert sum(group.n_parameters for group in groups) == sum(own)


def test_the_optimizers_groups_are_those_printed():
    groups = build_groups(PARAMETERS, TWELVE, REFERENCE)
    optimizer = build_optimizer(groups, PARAMETERS)
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (group.peak_lr, group.weight_decay) for group in groups
    ]


def test_rates_at_a_step_are_peak_times_schedule_and_rewarm():
    unfreezing = ProgressiveUnfreezingConfig.model_validate(
        {
            "enabled": True,
            "unfreeze_schedule": [{"epoch": 0, "layers": ["classifier"]}, {"epoch": 2, "layers": ["all"]}],
        }
    )
    training = REFERENCE.model_copy(update={"schedule": "constant"})
    groups = tuple(build_groups(PARAMETERS, TWELVE, training))
    rates = LearningRates(groups, plan_unfreezing(unfreezing, TWELVE, 4), 40, 10, 4, training)
    assert rates.n_rewarm == 2
    top_block = next(i for i, group in enumerate(groups) if group.name == "block.11")
    head = next(i for i, group in enumerate(groups) if group.name == HEAD)
    assert [rates.at(step)[head] for step in (0, 3, 4, 20)] == pytest.approx([2e-6, 8e-6, 1e-5, 1e-5])
    assert [rates.at(step)[top_block] for step in (20, 21, 22)] == pytest.approx([1e-5 / 3, 2e-5 / 3, 1e-5])
    assert rates.at(30, scale=0.5)[head] == 5e-6
