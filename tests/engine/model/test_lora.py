"""LoRA beside frozen weights: the pretrained model at the start, W + scale B A ever after."""

from __future__ import annotations

import copy
import json
from functools import partial

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from timm.models.eva import Eva
from timm.models.fastvit import Attention as FastVitAttention
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.func import functional_call

from clipft_cli.engine.model.lora import TARGETS, LoraAdapters, LoraDelta, LoraShape, adapted_linear, resolve_targets
from clipft_cli.engine.model.lora_linear import LoraLinear, attach_to_linears
from clipft_cli.engine.model.vit import FastViT, encode_text
from clipft_cli.errors import ConfigError, ModelError

VISION = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}
IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
SHAPE = {"r": 4, "alpha": 8}
COMPILE = torch.compile
KINDS = [{}, {"rslora": True}, {"use_dora": True}]


@pytest.fixture
def clip() -> nn.Module:
    torch.manual_seed(0)
    return open_clip.CLIP(24, dict(VISION), dict(TEXT), quick_gelu=True).requires_grad_(False)


@pytest.fixture
def visual(clip) -> nn.Module:
    return clip.visual


@pytest.fixture
def build_visual(tmp_path, monkeypatch):
    """Another tower, by way of open_clip's own registry and factory."""
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))

    def build(**vision) -> nn.Module:
        path = tmp_path / "tiny-lora-test.json"
        path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT}))
        open_clip.add_model_config(path)
        torch.manual_seed(0)
        return open_clip.create_model("tiny-lora-test").visual.requires_grad_(False).eval()

    return build


def trained(adapters: nn.Module) -> nn.Module:
    """As after some training: no parameter is where it started."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in adapters.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return adapters


def explicit_features(visual: nn.Module, adapters: LoraAdapters) -> Tensor:
    """open_clip's own forward with the weights W + scale B A written out."""
    weights = dict(visual.named_parameters())
    for index in range(3):
        prefix = f"transformer.resblocks.{index}"
        names = {"out": "attn.out_proj.weight", "fc1": "mlp.c_fc.weight", "fc2": "mlp.c_proj.weight"}
        for target, name in names.items():
            key = f"{prefix}.{name}"
            weights[key] = explicit_weight(weights[key], adapters.by_name.get(f"blocks.{index}.{target}"))
        key = f"{prefix}.attn.in_proj_weight"
        parts = zip("qkv", weights[key].chunk(3), strict=True)
        weights[key] = torch.cat([explicit_weight(w, adapters.by_name.get(f"blocks.{index}.{t}")) for t, w in parts])
    return functional_call(visual, weights, (IMAGES,))


def explicit_weight(weight: Tensor, delta: LoraDelta | None) -> Tensor:
    if delta is None:
        return weight
    changed = weight + delta.scale * delta.lora_B @ delta.lora_A
    if delta.magnitude is None:
        return changed
    return (delta.magnitude / changed.norm(dim=1).detach())[:, None] * changed


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("targets", [["q", "v"], ["all"]], ids=str)
def test_new_adapters_leave_the_pretrained_output_bit_for_bit(visual, targets, kind):
    adapters = LoraAdapters.for_vit(visual, targets, LoraShape(**SHAPE, **kind))
    assert torch.equal(FastViT(visual, adapters)(IMAGES), FastViT(visual)(IMAGES))


def test_dora_leaves_rows_of_zeros_as_they_are(visual):
    block = visual.transformer.resblocks[1]
    with torch.no_grad():
        block.mlp.c_fc.weight[5] = 0
        block.attn.in_proj_weight[100] = 0
    adapters = LoraAdapters.for_vit(visual, ["all"], LoraShape(**SHAPE, use_dora=True))
    features = FastViT(visual, adapters)(IMAGES)
    assert torch.equal(features, FastViT(visual)(IMAGES))
    features.square().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in adapters.parameters())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("targets", [["v"], ["q", "v"], ["k", "fc2"], ["all"]], ids=str)
def test_output_and_gradients_equal_the_weights_written_out(visual, targets, kind):
    adapters = trained(LoraAdapters.for_vit(visual, targets, LoraShape(**SHAPE, **kind)))
    expected = explicit_features(visual, adapters)
    features = FastViT(visual, adapters)(IMAGES)
    assert (features - FastViT(visual)(IMAGES)).abs().max() > 0.05
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)

    parameters = list(adapters.parameters())
    weights = torch.linspace(-1, 1, features.numel()).view_as(features)
    actual = torch.autograd.grad((features * weights).sum(), parameters)
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    for own, reference in zip(actual, wanted, strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_merged_equals_unmerged(visual, kind):
    adapters = trained(LoraAdapters.for_vit(visual, ["all"], LoraShape(**SHAPE, **kind)))
    before = FastViT(visual, adapters)(IMAGES)
    merged = copy.deepcopy(visual)
    adapters.merge_into(merged)
    torch.testing.assert_close(merged(IMAGES), before, rtol=1e-4, atol=1e-5)
    assert merged.state_dict().keys() == visual.state_dict().keys()


def test_merged_adapters_change_nothing_and_refuse_to_merge_again(visual):
    adapters = trained(LoraAdapters.for_vit(visual, ["q", "out"], LoraShape(**SHAPE)))
    adapters.merge_into(visual)
    assert torch.equal(FastViT(visual, adapters)(IMAGES), FastViT(visual)(IMAGES))
    with pytest.raises(ModelError, match="merged already"):
        adapters.merge_into(visual)


def test_a_step_moves_the_adapters_and_not_one_bit_of_the_tower(visual):
    adapters = LoraAdapters.for_vit(visual, ["all"], LoraShape(**SHAPE))
    before, start = copy.deepcopy(visual.state_dict()), copy.deepcopy(adapters.state_dict())
    everything = [*visual.parameters(), *adapters.parameters()]
    optimizer = torch.optim.AdamW(everything, lr=1e-2, weight_decay=0.1)
    for _ in range(2):  # A stands still in the first step, as B is zero
        optimizer.zero_grad()
        FastViT(visual, adapters)(IMAGES).square().sum().backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in visual.state_dict().items())
    assert not any(torch.equal(value, start[name]) for name, value in adapters.state_dict().items())


def test_saved_and_loaded_adapters_give_the_same_features(visual, tmp_path):
    settings = {**SHAPE, "use_dora": True}
    adapters = trained(LoraAdapters.for_vit(visual, ["q", "v"], LoraShape(**settings)))
    save_file(adapters.state_dict(), tmp_path / "adapters.safetensors")
    loaded = LoraAdapters.for_vit(visual, ["q", "v"], LoraShape(**settings), seed=9)
    loaded.load_state_dict(load_file(tmp_path / "adapters.safetensors"))
    assert torch.equal(FastViT(visual, loaded)(IMAGES), FastViT(visual, adapters)(IMAGES))


def test_the_state_dict_holds_the_deltas_alone(visual):
    adapters = LoraAdapters.for_vit(visual, ["q_proj"], LoraShape(**SHAPE), blocks=[0, 2])
    shapes = {name: tuple(value.shape) for name, value in adapters.state_dict().items()}
    assert shapes == {
        "blocks.0.q.lora_A": (4, 48),
        "blocks.0.q.lora_B": (48, 4),
        "blocks.2.q.lora_A": (4, 48),
        "blocks.2.q.lora_B": (48, 4),
    }


def test_dropout_works_in_training_alone(visual):
    adapters = trained(LoraAdapters.for_vit(visual, ["q", "v", "fc1"], LoraShape(**SHAPE, dropout=0.5)))
    fast = FastViT(visual, adapters)
    torch.manual_seed(1)
    first, second = fast(IMAGES), fast(IMAGES)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(fast(IMAGES), first)
    adapters.eval()
    assert torch.equal(fast(IMAGES), fast(IMAGES))
    torch.testing.assert_close(fast(IMAGES), explicit_features(visual, adapters), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [0, 2])
@pytest.mark.parametrize("target", TARGETS)
def test_dropout_falls_on_the_input_of_each_projection(visual, target, block):
    """The last block takes other ways to keys and values than those below it."""
    adapters = trained(LoraAdapters.for_vit(visual, [target], LoraShape(**SHAPE, dropout=0.5), blocks=[block]))
    fast = FastViT(visual, adapters)
    assert (fast(IMAGES) - fast(IMAGES)).abs().max() > 1e-3


def test_dropout_leaves_the_frozen_product_alone_and_scales_what_it_keeps():
    delta = LoraDelta(torch.randn(6, 5), LoraShape(r=2, alpha=4, dropout=0.5))
    torch.nn.init.normal_(delta.lora_B)
    rows, weight = torch.randn(7, 5), torch.randn(6, 5)
    torch.manual_seed(3)
    dropped = nn.functional.dropout(rows, 0.5)
    torch.manual_seed(3)
    out = adapted_linear(rows, weight, None, [delta])
    torch.testing.assert_close(out, rows @ weight.T + 2 * dropped @ delta.lora_A.T @ delta.lora_B.T)


def test_the_scale_is_alpha_over_r_or_over_its_root():
    weight = torch.zeros(3, 5)
    assert LoraDelta(weight, LoraShape(r=4, alpha=8)).scale == 2
    assert LoraDelta(weight, LoraShape(r=4, alpha=8, rslora=True)).scale == 4


def test_a_seed_fixes_the_start_and_leaves_the_global_generator_alone(visual):
    state = torch.get_rng_state()
    one, same, other = (LoraAdapters.for_vit(visual, ["q"], LoraShape(**SHAPE), seed=s).state_dict() for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["blocks.0.q.lora_A"], other["blocks.0.q.lora_A"])
    assert one["blocks.0.q.lora_A"].abs().max() <= 48**-0.5


def test_adapters_stay_float32_beside_bfloat16_weights(visual):
    visual.to(torch.bfloat16)
    adapters = trained(LoraAdapters.for_vit(visual, ["all"], LoraShape(**SHAPE)))
    features = FastViT(visual, adapters)(IMAGES.bfloat16())
    assert features.dtype == torch.bfloat16
    features.float().square().sum().backward()
    assert {p.dtype for p in adapters.parameters()} == {torch.float32}
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in adapters.parameters())


def test_under_autocast_the_function_stays_the_same(visual):
    adapters = trained(LoraAdapters.for_vit(visual, ["all"], LoraShape(**SHAPE, use_dora=True)))
    expected = FastViT(visual, adapters)(IMAGES)
    with torch.autocast("cpu", torch.bfloat16):
        features = FastViT(visual, adapters)(IMAGES)
    assert nn.functional.cosine_similarity(features.float(), expected).min() > 0.999


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_text_tower_can_be_adapted_too(clip, kind):
    tokens = torch.randint(1, 63, (3, 12), generator=torch.Generator().manual_seed(2))
    adapters = LoraAdapters.for_text(clip, ["all"], LoraShape(**SHAPE, **kind))
    assert torch.equal(encode_text(clip, tokens, adapters), encode_text(clip, tokens))
    before = encode_text(clip, tokens, trained(adapters))
    adapters.merge_into(clip)
    torch.testing.assert_close(clip.encode_text(tokens), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (["q_proj", "v_proj"], ("q", "v")),
        (["v", "q", "q_proj"], ("q", "v")),
        (["attn.in_proj"], ("q", "k", "v")),
        (["attention"], ("q", "k", "v", "out")),
        (["c_fc", "c_proj"], ("fc1", "fc2")),
        (["mlp", "out_proj"], ("out", "fc1", "fc2")),
        (["all"], TARGETS),
    ],
)
def test_names_of_other_systems_are_understood(names, targets):
    assert resolve_targets(names) == targets


def test_an_unknown_target_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown LoRA target 'q_prj'") as error:
        resolve_targets(["q_prj"])
    assert error.value.hint == "did you mean 'q_proj'? choose from q, k, v, out, fc1, fc2, or attention, mlp, all"


def test_no_target_and_no_such_block_are_refused(visual):
    with pytest.raises(ConfigError, match="no target"):
        resolve_targets([])
    with pytest.raises(ConfigError, match="blocks 0 to 2"):
        LoraAdapters.for_vit(visual, ["q"], LoraShape(**SHAPE), blocks=[3])


TIMM = {"timm_model_name": "test_vit", "timm_pool": "token", "image_size": 160}
TIMM_IMAGES = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_timm_tower_starts_equal_adapts_and_merges(build_visual, kind):
    tower = build_visual(**TIMM)
    pretrained, keys = tower(TIMM_IMAGES), list(tower.state_dict())
    adapters = attach_to_linears(tower, ["q", "v", "fc1"], LoraShape(**SHAPE, **kind))
    assert torch.equal(tower(TIMM_IMAGES), pretrained)
    assert list(tower.state_dict()) == keys
    assert len(adapters.by_name) == 6 * 3

    trained(adapters)
    adapted = tower(TIMM_IMAGES)
    assert (adapted - pretrained).abs().max() > 0.05
    adapted.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in adapters.parameters())

    adapters.merge_into(tower)
    assert not any(isinstance(layer, LoraLinear) for layer in tower.modules())
    torch.testing.assert_close(tower(TIMM_IMAGES), adapted, rtol=1e-3, atol=1e-4)


def test_detaching_gives_back_the_pretrained_tower(build_visual):
    tower = build_visual(**TIMM)
    pretrained = tower(TIMM_IMAGES)
    adapters = trained(attach_to_linears(tower, ["all"], LoraShape(**SHAPE)))
    adapters.detach_from(tower)
    assert not any(isinstance(layer, LoraLinear) for layer in tower.modules())
    assert torch.equal(tower(TIMM_IMAGES), pretrained)


def test_a_tower_without_a_layer_to_adapt_names_itself_and_the_way_out(build_visual):
    resnet = build_visual(layers=[1, 1, 1, 1], width=16, head_width=32, image_size=32)
    with pytest.raises(ModelError, match="ModifiedResNet has no linear layers LoRA can adapt") as error:
        attach_to_linears(resnet, ["all"], LoraShape(**SHAPE))
    assert error.value.hint == "fine-tune all of it with `--method full`"
    with pytest.raises(ModelError, match="ModifiedResNet has no plain residual attention blocks"):
        LoraAdapters.for_vit(resnet, ["q"], LoraShape(**SHAPE))


def test_layers_whose_weights_are_read_past_their_forward_are_left_out(visual):
    """nn.MultiheadAttention never calls its out_proj: an adapter there would be a silent nothing."""
    adapters = attach_to_linears(visual, ["all"], LoraShape(**SHAPE))
    assert {name.split(".")[-2] for name in adapters.by_name} == {"c_fc", "c_proj"}


@pytest.mark.parametrize("qkv_fused", [True, False])
def test_of_eva_the_fused_projection_alone_is_left_out(qkv_fused):
    """Its attention reads the weight of a fused q, k, v, whose bias is kept apart, and calls every other layer."""
    tower = Eva(32, 16, embed_dim=32, depth=2, num_heads=2, num_classes=8, qkv_fused=qkv_fused).requires_grad_(False)
    adapters = trained(attach_to_linears(tower.eval(), ["all"], LoraShape(**SHAPE)))
    targets = {name.rpartition(".")[2] for name in adapters.by_name}
    assert targets == {"out", "fc1", "fc2"} | (set() if qkv_fused else {"q", "k", "v"})
    adapted = tower(IMAGES)
    adapted.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in adapters.parameters())
    adapters.merge_into(tower)
    torch.testing.assert_close(tower(IMAGES), adapted, rtol=1e-3, atol=1e-4)


def test_an_attention_under_another_name_has_its_output_projection():
    """That of MobileCLIP's towers is a `token_mixer`."""
    tower = nn.ModuleDict({"token_mixer": FastVitAttention(32, head_dim=16), "head": nn.ModuleDict()})
    tower["head"]["proj"] = nn.Linear(32, 8)
    adapters = attach_to_linears(tower.requires_grad_(False), ["all"], LoraShape(**SHAPE))
    assert set(adapters.by_name) == {f"token_mixer.{name}" for name in ("qkv.q", "qkv.k", "qkv.v", "proj.out")}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_same_function_as_pefts_on_plain_linear_layers(kind):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    ours = nn.ModuleDict({"fc1": nn.Linear(12, 20), "fc2": nn.Linear(20, 6)})
    settings = {"use_rslora": kind.get("rslora", False), "use_dora": kind.get("use_dora", False)}
    base = nn.Sequential()
    base.add_module("fc1", copy.deepcopy(ours["fc1"]))
    base.add_module("fc2", copy.deepcopy(ours["fc2"]))
    theirs = peft.get_peft_model(base, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["fc1", "fc2"], **settings))
    adapters = trained(attach_to_linears(ours, ["mlp"], LoraShape(**SHAPE, **kind)))
    with torch.no_grad():
        for name in ("fc1", "fc2"):
            layer, delta = getattr(theirs.base_model.model, name), adapters.by_name[f"{name}.{name}"]
            layer.lora_A["default"].weight.copy_(delta.lora_A)
            layer.lora_B["default"].weight.copy_(delta.lora_B)
            if delta.magnitude is not None:
                layer.lora_magnitude_vector["default"].weight.copy_(delta.magnitude)
    x = torch.randn(7, 12)
    torch.testing.assert_close(ours["fc2"](ours["fc1"](x)), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_pass_without_gradients_is_not_compiled(monkeypatch, visual):
    graphs = CompileCounterWithBackend("eager")
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend=graphs))
    tower = FastViT(visual)
    tower.compile()
    with torch.inference_mode():
        assert torch.equal(tower(IMAGES), FastViT(visual)(IMAGES))
    assert graphs.frame_count == 0
