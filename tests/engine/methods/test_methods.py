"""The contract of every method, on a ViT and on a timm tower: a new method is tested by existing."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny_world import write_model
from torch import Tensor, nn
from torch.func import functional_call

from clipft_cli.config.methods import LoraConfig
from clipft_cli.config.model import ModelConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.checkpoint.card import Card
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.checkpoint.save import save_classifier
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import Backbone, load_backbone
from clipft_cli.engine.model.classifier import Classifier, CosineHead
from clipft_cli.engine.model.layers import HEAD, STEM, TOP
from clipft_cli.engine.model.lora import LoraDelta
from clipft_cli.engine.model.nf4 import Nf4Weight, unpack
from clipft_cli.errors import CheckpointError

CPU = torch.device("cpu")
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2])
KINDS = [{}, {"scaling": "rslora"}, {"use_dora": True}]
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")


def named(names: list[str]) -> list:
    return [pytest.param(name, marks=needs_bitsandbytes if name == "qlora" else ()) for name in names]


every_method = pytest.mark.parametrize("method", named(list(METHODS)))
every_adapter = pytest.mark.parametrize("method", named([name for name in METHODS if METHODS[name].has_adapters]))
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


def settings_of(method: str, **lora) -> MethodSettings:
    return MethodSettings.of(TrainConfig(method=method, lora=LoraConfig(**lora)))


@dataclass(frozen=True)
class World:
    """A tiny pretrained model of one family, and its weights file."""

    backbone: Backbone
    weights: Path

    @property
    def clip(self) -> nn.Module:
        return self.backbone.model

    def attach(self, method: str, **lora) -> Classifier:
        torch.manual_seed(4)
        head = CosineHead(F.normalize(torch.randn(3, self.backbone.base.model_cfg["embed_dim"]), dim=1), 10.0)
        clip = copy.deepcopy(self.clip).requires_grad_(False)
        return METHODS[method].attach(clip, head, settings_of(method, **lora)).eval()

    def save(self, folder: Path, classifier: Classifier, method: str, **lora) -> Path:
        card = Card(
            method=method,
            base=self.backbone.base,
            preprocess=self.backbone.preprocess,
            classes=tuple(ClassInfo(name, name) for name in "abc"),
            templates=("a {}",),
            head="cosine",
            settings=settings_of(method, **lora).own,
            data={},
        )
        save_classifier(folder, classifier, card)
        (folder.parent / self.weights.name).symlink_to(self.weights)  # the base lies beside what is given away
        return folder


@pytest.fixture(scope="module", params=["vit", "timm-vit"])
def world(request, tmp_path_factory) -> World:
    architecture, weights = write_model(tmp_path_factory.mktemp(request.param), request.param)
    return World(load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights))), weights)


def trains(classifier: Classifier, method: str) -> dict[str, nn.Parameter]:
    everything = dict(classifier.named_parameters())
    return {
        name: everything[name]
        for layer in METHODS[method].layers(classifier, settings_of(method))
        for name in layer.parameters
    }


def trained(classifier: Classifier, method: str) -> Classifier:
    """As after some training: nothing that trains is where it started."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in trains(classifier, method).values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return classifier


def place_of(delta: str) -> tuple[str, int, int]:
    """(key of the tower's weight, which share of its rows, of how many) that a delta changes."""
    path, _, target = delta.rpartition(".")
    fused, names = {"q": 0, "k": 1, "v": 2}, {"out": "attn.out_proj", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}
    if path.startswith("blocks."):
        block = f"transformer.resblocks.{path.removeprefix('blocks.')}"
        return (
            (f"{block}.attn.in_proj_weight", fused[target], 3)
            if target in fused
            else (f"{block}.{names[target]}.weight", 0, 1)
        )
    return (f"{path}.weight", fused[target], 3) if path.endswith("qkv") else (f"{path}.weight", 0, 1)


def written_out(rows: Tensor, delta: LoraDelta) -> Tensor:
    changed = rows + delta.scale * delta.lora_B @ delta.lora_A
    if delta.magnitude is None:
        return changed
    return (delta.magnitude / changed.norm(dim=1).detach())[:, None] * changed


def frozen_tower(world: World, classifier: Classifier) -> nn.Module:
    """open_clip's own tower with the weights the classifier holds, packed ones as what their bits mean."""
    tower = copy.deepcopy(world.clip.visual).requires_grad_(False).eval()
    held = copy.deepcopy(classifier.clip.visual)
    unpack(held)
    tower.load_state_dict(held.state_dict())
    return tower


def explicit_features(tower: nn.Module, classifier: Classifier) -> Tensor:
    """The tower's own forward, with W + scale B A (and DoRA's lengths) written into its weights."""
    weights = dict(tower.named_parameters())
    for name, delta in classifier.adapters.by_name.items():
        key, share, n = place_of(name)
        rows = list(weights[key].chunk(n))
        rows[share] = written_out(rows[share], delta)
        weights[key] = torch.cat(rows)
    return functional_call(tower, weights, (IMAGES,))


@every_method
def test_at_the_start_the_output_is_the_pretrained_models(world, method):
    classifier = world.attach(method)
    with torch.no_grad():
        features = F.normalize(frozen_tower(world, classifier)(IMAGES), dim=-1)
        torch.testing.assert_close(classifier(IMAGES), 10 * features @ classifier.head.weight.T, rtol=1e-4, atol=1e-4)
        pretrained = F.normalize(world.clip.eval().encode_image(IMAGES), dim=-1)
        is_packed = any(isinstance(module, Nf4Weight) for module in classifier.modules())
        assert is_packed is (method == "qlora")
        assert (features * pretrained).sum(dim=1).min() > (0.98 if is_packed else 1 - 1e-5)


@every_method
def test_layers_name_parameters_that_are_there_and_none_twice(world, method):
    classifier = world.attach(method)
    names = [name for layer in METHODS[method].layers(classifier, settings_of(method)) for name in layer.parameters]
    assert len(set(names)) == len(names)
    assert set(names) <= set(dict(classifier.named_parameters()))


@every_method
def test_steps_move_what_is_listed_and_not_one_bit_of_the_rest(world, method):
    classifier = world.attach(method)
    listed = trains(classifier.requires_grad_(False), method)
    if not listed:
        assert method == "zero_shot"
        return
    for parameter in listed.values():
        parameter.requires_grad_(True)
    before = copy.deepcopy(classifier.state_dict())
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(classifier(IMAGES), LABELS).backward()
        optimizer.step()
    after = classifier.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(listed)


@every_method
def test_saved_and_loaded_it_gives_the_same_logits(world, method, tmp_path):
    classifier = trained(world.attach(method), method)
    folder = world.save(tmp_path / "checkpoint", classifier, method)
    with torch.no_grad():
        loaded = load_classifier(folder, CPU).classifier
        assert torch.equal(loaded(IMAGES), classifier(IMAGES))


@every_method
def test_only_what_trains_is_saved_unless_the_tower_changes(world, method, tmp_path):
    classifier = world.attach(method)
    folder = world.save(tmp_path / "checkpoint", classifier, method)
    saved = {file.name: load_file(file) for file in folder.glob("*.safetensors")}
    assert saved.pop("head.safetensors").keys() == classifier.head.state_dict().keys()
    if METHODS[method].writes_whole_model:
        assert saved["open_clip_model.safetensors"].keys() == world.clip.state_dict().keys()
        return
    inside = {"adapter.safetensors": "adapters.", "trained.safetensors": "clip."}
    tensors = {inside[file] + name for file, names in saved.items() for name in names}
    assert tensors == {name for name in trains(classifier, method) if not name.startswith("head.")}


@every_method
def test_on_another_base_it_is_refused_or_needs_none(world, method, tmp_path):
    classifier = world.attach(method)
    folder = world.save(tmp_path / "checkpoint", classifier, method)
    kept = world.weights.read_bytes()
    tensors = load_file(world.weights)
    save_file({**tensors, "logit_scale": tensors["logit_scale"] + 0.1}, world.weights)
    try:
        if METHODS[method].writes_whole_model:
            assert torch.equal(load_classifier(folder, CPU).classifier(IMAGES), classifier(IMAGES))
        else:
            with pytest.raises(CheckpointError, match="belongs to another base model"):
                load_classifier(folder, CPU)
    finally:
        world.weights.write_bytes(kept)


@every_adapter
@every_kind
def test_output_and_gradients_equal_the_weights_written_out(world, method, kind):
    classifier = trained(world.attach(method, target_modules=("all",), r=4, **kind), method)
    features, expected = classifier.features(IMAGES), explicit_features(frozen_tower(world, classifier), classifier)
    with torch.no_grad():
        assert (features - frozen_tower(world, classifier)(IMAGES)).abs().max() > 0.02
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)
    parameters = list(classifier.adapters.parameters())
    weights = torch.linspace(-1, 1, features.numel()).view_as(features)
    actual = torch.autograd.grad((features * weights).sum(), parameters)
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    for own, reference in zip(actual, wanted, strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-2, atol=1e-3)


@every_adapter
@every_kind
def test_merged_equals_unmerged(world, method, kind):
    classifier = trained(world.attach(method, target_modules=("all",), **kind), method)
    with torch.no_grad():
        unmerged = classifier.features(IMAGES)
        classifier.adapters.merge_into(classifier.clip.visual)
        merged = classifier.clip.visual.eval()(IMAGES)  # open_clip's own forward
    torch.testing.assert_close(merged, unmerged, rtol=1e-3, atol=1e-4)
    assert classifier.clip.state_dict().keys() == world.clip.state_dict().keys()


@every_adapter
def test_the_names_and_the_scales_of_other_systems_mean_the_same(world, method):
    names = {"target_modules": ("q_proj", "v_proj"), "r": 4, "lora_alpha": 8}
    adapters = world.attach(method, **names).adapters
    assert {name.rpartition(".")[2] for name in adapters.by_name} == {"q", "v"}
    assert {delta.scale for delta in adapters.by_name.values()} == {2.0}
    rslora = world.attach(method, scaling="rslora", **names).adapters
    assert {delta.scale for delta in rslora.by_name.values()} == {4.0}


@every_adapter
def test_adapters_depend_on_the_seed_alone(world, method):
    some = world.attach(method)
    torch.manual_seed(99)
    same = world.attach(method)
    for name, value in some.adapters.state_dict().items():
        assert torch.equal(value, same.adapters.state_dict()[name])


@pytest.fixture(scope="module")
def vit(tiny) -> World:
    return World(load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights))), tiny.weights)


@pytest.mark.parametrize(
    ("method", "layers"),
    [
        ("zero_shot", []),
        ("linear_probe", [HEAD]),
        ("full", [STEM, "block.0", "block.1", "block.2", TOP, HEAD]),
        ("lora", ["block.0", "block.1", "block.2", HEAD]),
        pytest.param("qlora", ["block.0", "block.1", "block.2", HEAD], marks=needs_bitsandbytes),
    ],
)
def test_what_each_method_may_change(vit, method, layers):
    assert [layer.name for layer in METHODS[method].layers(vit.attach(method), settings_of(method))] == layers


@every_method
def test_the_text_tower_never_trains(vit, method):
    listed = trains(vit.attach(method), method)
    assert not [name for name in listed if name.startswith(("clip.transformer", "clip.token_embedding"))]


def test_lora_layers_are_found_under_the_towers_names(vit):
    last = METHODS["lora"].layers(vit.attach("lora", target_modules=("q_proj", "v_proj")), settings_of("lora"))[2]
    assert "vision_model.encoder.layers.2" in last.names
    assert len(last.parameters) == 4
