"""The fast towers compute what open_clip's own forward computes, with the same gradients."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clipft_cli.engine.model.attention import embed_patches, quick_gelu
from clipft_cli.engine.model.lora import LoraAdapters, LoraShape
from clipft_cli.engine.model.vit import (
    FastViT,
    encode_text,
    tune_allocator,
    why_text_unsupported,
    why_unsupported,
)

VISION = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 3}
CONFIGURATIONS = {
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "tanh gelu": {"act_kwargs": {"approximate": "tanh"}},
    "no ln_pre": {"no_ln_pre": True},
    "layer scale": {"ls_init_value": 0.3},
    "norm after pooling": {"final_ln_after_pool": True},
    "wide epsilon": {"norm_kwargs": {"eps": 1e-2}},
    "patch 16": {"patch_size": 16, "quick_gelu": True},
    "patch 4, odd rim": {"image_size": 30, "patch_size": 4},
    "fixed positions": {"pos_embed_type": "sin_cos_2d"},
    "one block": {"layers": 1},
}


@pytest.fixture
def build_clip(tmp_path, monkeypatch):
    """A tiny real model by way of open_clip's own registry and factory."""

    def build(vision: dict[str, Any] | None = None, text: dict[str, Any] | None = None, **settings: Any):
        vision, text = {**VISION, **(vision or {})}, {**TEXT, **(text or {})}
        settings = {"quick_gelu": vision.pop("quick_gelu", False), **settings}
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, **settings}
        (tmp_path / "tiny-vit-test.json").write_text(json.dumps(config))
        open_clip.add_model_config(tmp_path / "tiny-vit-test.json")
        torch.manual_seed(0)
        model = open_clip.create_model("tiny-vit-test")
        return spread(model)

    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    return build


def spread(model: nn.Module) -> nn.Module:
    """Biases and norms away from their 0 and 1, so that a forgotten one shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def images_for(visual: nn.Module, n_images: int = 3) -> Tensor:
    side = visual.image_size[0]
    return torch.randn(n_images, 3, side, side, generator=torch.Generator().manual_seed(1))


def gradients(module: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """Of a loss that weighs every feature differently."""
    weights = torch.linspace(-1, 1, features.numel()).view_as(features)
    module.zero_grad(set_to_none=True)
    (features.float() * weights).sum().backward()
    return {
        name: p.grad.clone() if p.grad is not None else torch.zeros_like(p)
        for name, p in module.named_parameters()
        if p.requires_grad
    }


def assert_same_gradients(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert actual.keys() == expected.keys()
    for name, grad in expected.items():
        error = (actual[name] - grad).norm() / grad.norm().clamp_min(1e-3)
        assert error < tolerance, f"{name}: {error:.2e}"


@pytest.mark.parametrize("vision", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_features_and_every_gradient_equal_open_clips_own(build_clip, vision):
    visual = build_clip(vision).visual
    images = images_for(visual)
    assert why_unsupported(visual) is None

    expected = visual(images)
    expected_gradients = gradients(visual, expected)
    features = FastViT(visual)(images)

    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert_same_gradients(gradients(visual, features), expected_gradients, tolerance=1e-4)


@pytest.mark.parametrize("name", ["gelu", "quick gelu", "layer scale", "no ln_pre"])
def test_bfloat16_is_as_near_to_float32_as_open_clips_own(build_clip, name):
    """Two bfloat16 roundings of one function differ from each other: the yardstick is float32."""
    visual = build_clip(CONFIGURATIONS[name]).visual
    images = images_for(visual, 16)
    truth = visual(images)
    true_gradients = gradients(visual, truth)

    with torch.autocast("cpu", torch.bfloat16):
        theirs, own = visual(images), FastViT(visual)(images)
    their_gradients, own_gradients = gradients(visual, theirs), gradients(visual, own)

    assert own.dtype == theirs.dtype
    assert F.cosine_similarity(own.float(), truth).min() > 0.999
    assert (own - truth).norm() < 1.25 * (theirs - truth).norm()
    assert distance(own_gradients, true_gradients) < 1.25 * distance(their_gradients, true_gradients)
    assert_same_gradients(own_gradients, true_gradients, tolerance=0.3)


def distance(some: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    """Mean over the parameters of the relative error."""
    return float(np.mean([float((some[n] - others[n]).norm() / others[n].norm()) for n in others]))


def test_without_projection_it_returns_the_pooled_token(build_clip):
    visual = build_clip().visual
    visual.proj = None
    features = FastViT(visual)(images_for(visual))
    assert features.shape == (3, 48)
    torch.testing.assert_close(features, visual(images_for(visual)), rtol=1e-4, atol=1e-5)


def test_parameters_in_bfloat16_without_autocast(build_clip):
    visual = build_clip().visual.to(torch.bfloat16)
    images = images_for(visual).bfloat16()
    features = FastViT(visual)(images)
    assert features.dtype == torch.bfloat16
    torch.testing.assert_close(features, visual(images), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_prefix_and_suffix_make_the_whole_at_every_cut(build_clip, k):
    visual = build_clip({"quick_gelu": True}).visual
    fast, images = FastViT(visual), images_for(visual)
    hidden = fast.prefix(images, k)
    assert hidden.shape == ((3, 48) if k == 3 else (3, 17, 48))
    assert torch.equal(fast.suffix(hidden, k), fast(images))


def test_a_detached_prefix_leaves_the_gradients_above_it_unchanged(build_clip):
    visual = build_clip().visual
    fast, images = FastViT(visual), images_for(visual)
    whole = gradients(visual, visual(images))
    with torch.no_grad():
        hidden = fast.prefix(images, 2)
    cut = gradients(visual, fast.suffix(hidden, 2))
    above = [name for name in whole if name.startswith(("transformer.resblocks.2", "ln_post", "proj"))]
    assert len(above) == 15
    assert_same_gradients({n: cut[n] for n in above}, {n: whole[n] for n in above}, tolerance=1e-4)


def test_nothing_below_the_first_trainable_block_is_differentiated(build_clip):
    visual = build_clip().visual.requires_grad_(False)
    fast = FastViT(visual)
    visual.transformer.resblocks[2].requires_grad_(True)
    assert not fast.prefix(images_for(visual), 2).requires_grad
    fast(images_for(visual)).sum().backward()
    with_gradient = {name for name, p in visual.named_parameters() if p.grad is not None}
    assert with_gradient == {
        f"transformer.resblocks.2.{n}" for n, _ in visual.transformer.resblocks[2].named_parameters()
    }


def test_no_gradient_flows_below_the_first_adapter(build_clip):
    visual = build_clip().visual.requires_grad_(False)
    fast = FastViT(visual, LoraAdapters.for_vit(visual, ["q", "v"], LoraShape(r=2, alpha=4), blocks=[1]))
    assert not fast.prefix(images_for(visual), 1).requires_grad
    assert fast.prefix(images_for(visual), 2).requires_grad


def test_checkpointed_blocks_give_the_same_gradients(build_clip):
    visual = build_clip({"quick_gelu": True}).visual
    adapters = LoraAdapters.for_vit(visual, ["all"], LoraShape(r=2, alpha=4, dropout=0.3))
    both = nn.ModuleList([visual, adapters])

    def run(checkpoint_blocks: bool) -> dict[str, Tensor]:
        torch.manual_seed(3)  # dropout is drawn again in the second forward, and must be drawn alike
        fast = FastViT(visual, adapters, checkpoint_blocks=checkpoint_blocks)
        return gradients(both, fast(images_for(visual)))

    assert_same_gradients(run(True), run(False), tolerance=1e-6)


def test_one_image(build_clip):
    visual = build_clip().visual
    torch.testing.assert_close(
        FastViT(visual)(images_for(visual, 1)), visual(images_for(visual, 1)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("side", [32, 30])
def test_patches_in_bfloat16_are_those_of_the_convolution(side):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 48, 8, stride=8, bias=False)
    images = torch.randn(2, 3, side, side)
    exact = conv(images).flatten(2).transpose(1, 2)
    weights = torch.randn_like(exact)
    (exact_gradient,) = torch.autograd.grad((exact * weights).sum(), conv.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        patches = embed_patches(conv, images)
    (gradient,) = torch.autograd.grad((patches.float() * weights).sum(), conv.weight)
    assert patches.dtype == torch.bfloat16
    torch.testing.assert_close(patches.float(), exact, atol=0.03, rtol=0.02)
    torch.testing.assert_close(gradient, exact_gradient, atol=0.1, rtol=0.02)


def test_quick_gelu_is_the_formula_and_its_derivative():
    x = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    assert torch.equal(quick_gelu(x), x * torch.sigmoid(1.702 * x))
    assert torch.autograd.gradcheck(quick_gelu, x)


CUSTOM_BLOCKS = "its blocks are CustomResidualAttentionBlock, not plain self-attention"
RESNET = "ModifiedResNet is not open_clip's VisionTransformer"
UNSUPPORTED = {
    "attentional pooling": ({"attentional_pool": True}, {}, "it pools by attention"),
    "average pooling": ({"pool_type": "avg"}, {}, "it pools by 'avg', not by the class token"),
    "patch dropout": ({"patch_dropout": 0.5}, {}, "it drops patches in training"),
    "tokens": ({"output_tokens": True}, {}, "it returns its tokens beside the features"),
    "custom blocks": ({"qk_norm": True}, {}, CUSTOM_BLOCKS),
    "resnet": ({"layers": [1, 1, 1, 1], "head_width": 32, "width": 16}, {}, RESNET),
}


@pytest.mark.parametrize(("vision", "text", "reason"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_a_tower_it_does_not_cover_is_named(build_clip, vision, text, reason):
    assert why_unsupported(build_clip(vision, text).visual) == reason


def test_a_timm_tower_is_not_covered(build_clip):
    timm_tower = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "image_size": 224}
    assert why_unsupported(build_clip(timm_tower).visual) == "TimmModel is not open_clip's VisionTransformer"


def test_an_exchanged_linear_layer_is_not_covered(build_clip):
    class Quantised(nn.Linear):
        pass

    visual = build_clip().visual
    visual.transformer.resblocks[1].mlp.c_fc = Quantised(48, 192)
    assert why_unsupported(visual) == "its MLP is built of Quantised, not of plain linear layers"


TEXT_TOWERS = {
    "flat": ({}, {}),
    "flat, quick gelu": ({}, {"quick_gelu": True}),
    "custom text": ({}, {"custom_text": True}),
    "last token": ({"pool_type": "last"}, {"custom_text": True}),
    "no causal mask": ({"no_causal_mask": True, "pool_type": "first"}, {"custom_text": True}),
    "projection bias": ({"proj_bias": True}, {"custom_text": True}),
    "end-of-text id": ({"pool_type": "eos", "eos_id": 63}, {"custom_text": True}),
}


def tokens() -> Tensor:
    """Texts of different lengths: the end-of-text token, the highest id, stands at places 4, 7 and 11."""
    ids = torch.randint(1, 60, (3, 12), generator=torch.Generator().manual_seed(2))
    for row, place in enumerate((4, 7, 11)):
        ids[row, place], ids[row, place + 1 :] = 63, 0
    return ids


@pytest.mark.parametrize(("text", "settings"), TEXT_TOWERS.values(), ids=TEXT_TOWERS.keys())
def test_text_features_and_gradients_equal_open_clips_own(build_clip, text, settings):
    model = build_clip(text=text, **settings)
    assert why_text_unsupported(model) is None
    expected = model.encode_text(tokens())
    expected_gradients = gradients(model, expected)
    features = encode_text(model, tokens())
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert_same_gradients(gradients(model, features), expected_gradients, tolerance=1e-4)


def test_text_in_bfloat16(build_clip):
    model = build_clip()
    with torch.autocast("cpu", torch.bfloat16):
        features = encode_text(model, tokens())
    assert F.cosine_similarity(features.float(), model.encode_text(tokens())).min() > 0.999


def test_a_text_tower_with_a_class_token_is_not_covered(build_clip):
    model = build_clip(text={"embed_cls": True, "output_tokens": False}, custom_text=True)
    assert why_text_unsupported(model) == "it appends a class token"


def test_the_allocator_is_tuned_or_left_alone_without_an_error():
    assert tune_allocator() in (True, False)
