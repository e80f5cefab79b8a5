"""One ordered list of layers for every tower: every parameter in exactly one, found under every name."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch
from tiny_world import EMBED_DIM, FAMILIES, TEXT
from torch import nn

from clipft_cli.engine.model.layers import HEAD, STEM, TOP, Layer, head_layer, image_layers, match_layers
from clipft_cli.errors import ConfigError, ModelError

TWELVE = (
    Layer(STEM, ("clip.visual.conv1.weight",), ("embeddings",)),
    *(Layer(f"block.{i}", (f"b{i}",), (f"vision_model.encoder.layers.{i}",)) for i in range(12)),
    Layer(TOP, ("proj",)),
    head_layer(("head.weight",)),
)


@pytest.fixture
def build(tmp_path, open_clip_models):
    def build(family: str) -> nn.Module:
        path = tmp_path / f"layers-{family}.json"
        path.write_text(json.dumps({"embed_dim": EMBED_DIM, "text_cfg": TEXT, **FAMILIES[family]}))
        open_clip.add_model_config(path)
        torch.manual_seed(0)
        return open_clip.create_model(path.stem).visual

    return build


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_is_in_exactly_one_layer(build, family):
    visual = build(family)
    listed = [name for layer in image_layers(visual) for name in layer.parameters]
    assert sorted(listed) == sorted(f"clip.visual.{name}" for name, _ in visual.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_run_from_stem_to_top(build, family):
    names = [layer.name for layer in image_layers(build(family))]
    blocks = [f"block.{i}" for i in range(len(names) - 2)]
    assert names == [STEM, *blocks, TOP]


@pytest.mark.parametrize(
    ("family", "depth"),
    [("vit", 3), ("quickgelu", 3), ("resnet", 4), ("timm-vit", 6), ("attention-pool", 6), ("convnext", 9)],
)
def test_the_number_of_blocks_is_the_towers_depth(build, family, depth):
    assert sum(layer.name.startswith("block.") for layer in image_layers(build(family))) == depth


def used_between(visual: nn.Module, module: nn.Module) -> list[str]:
    """Order in which the layers' modules are first called in a forward pass."""
    order: list[str] = []
    owner = {name: layer.name for layer in image_layers(visual, "") for name in layer.parameters}
    handles = []
    for path, child in visual.named_modules():
        own = [f"{path}.{name}" if path else name for name, _ in child.named_parameters(recurse=False)]
        if own:
            handles.append(child.register_forward_hook(lambda *_, layer=owner[own[0]]: order.append(layer)))
    visual.eval()(torch.randn(1, 3, 32, 32))
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(order))


@pytest.mark.parametrize("family", ["resnet", "timm-vit", "convnext", "timm-resnet"])
def test_the_order_is_that_of_the_forward_pass(build, family):
    visual = build(family)
    assert used_between(visual, visual) == [layer.name for layer in image_layers(visual)]


@pytest.mark.parametrize(("family", "norm"), [("vit", "ln_post.weight"), ("timm-vit", "trunk.norm.weight")])
def test_the_norm_after_the_blocks_is_in_the_top(build, family, norm):
    top = image_layers(build(family), "")[-1]
    assert norm in top.parameters


def test_an_unknown_tower_is_refused():
    with pytest.raises(ModelError, match="Linear has no layer list"):
        image_layers(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("classifier", {14}),
        ("head", {14}),
        ("stem", {0}),
        ("embeddings", {0}),
        ("top", {13}),
        ("block.11", {12}),
        ("vision_model.encoder.layers.11", {12}),
        ("vision_model.encoder.layers.1", {2}),
        ("vision_model.encoder.layers.1*", {2, 11, 12}),
        ("block.[89]", {9, 10}),
        ("vision_model.encoder.layers", set(range(1, 13))),
        ("blocks", set(range(1, 13))),
        ("all", set(range(15))),
        ("*", set(range(15))),
        (" all ", set(range(15))),
    ],
)
def test_names_globs_and_all(pattern, found):
    assert match_layers([pattern], TWELVE, "key") == found


def test_open_clips_own_block_names_are_understood(build):
    layers = image_layers(build("vit"))
    assert match_layers(["visual.transformer.resblocks.2"], layers, "key") == {3}
    assert match_layers(["visual.transformer.resblocks.2.*"], layers, "key") == {3}
    assert match_layers(["visual.ln_post", "visual.proj"], layers, "key") == {4}


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(ConfigError) as caught:
        match_layers(["vision_model.encoder.layers.12"], TWELVE, "some.key")
    assert caught.value.message == (
        "some.key: no layer is called 'vision_model.encoder.layers.12'; near ones: vision_model.encoder.layers.2,"
        " vision_model.encoder.layers.1, vision_model.encoder.layers.11;"
        " this tower has stem, block.0 to block.11, top, and classifier"
    )


def test_the_head_layer_is_called_classifier():
    assert head_layer(["head.weight"]) == Layer(HEAD, ("head.weight",), ("head", "fc", "linear"))
