"""A checkpoint opened from cold gives the logits of the one that open_clip builds, and refuses what that refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_world import EMBED_DIM, FAMILIES, TEXT, VIT, write_model

from clipft_cli.config.methods import LoraConfig
from clipft_cli.config.model import ModelConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.demo import tiny as embedded
from clipft_cli.engine.checkpoint.card import Card
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.checkpoint.opened import opened
from clipft_cli.engine.checkpoint.save import save_classifier
from clipft_cli.engine.files.digest import file_digest
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import Backbone, load_backbone
from clipft_cli.engine.model.classifier import Classifier, CosineHead
from clipft_cli.engine.model.image_tower import ImageOnlyClip, is_plain_vit
from clipft_cli.errors import CheckpointError, ClipftError

CPU = torch.device("cpu")
PLAIN = {
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "tanh gelu": {"act_kwargs": {"approximate": "tanh"}},
    "no ln_pre": {"no_ln_pre": True},
    "layer scale": {"ls_init_value": 0.3},
    "norm after pooling": {"final_ln_after_pool": True},
    "wide epsilon": {"norm_kwargs": {"eps": 1e-2}},
    "fixed positions": {"pos_embed_type": "sin_cos_2d"},
    "narrow mlp": {"mlp_ratio": 1.5, "layers": 1},
    "not square": {"image_size": [32, 48]},
}
NOT_PLAIN: dict[str, dict[str, Any]] = {
    "attention pooling": {"attentional_pool": True, "attn_pooler_heads": 2},
    "mean pooling": {"pool_type": "avg"},
    "patch dropout": {"patch_dropout": 0.5},
    "other blocks": {"qk_norm": True},
    "a ResNet": {"layers": [1, 1, 1, 1]},
    "an unknown key": {"turbo": True},
}


def backbone_of(folder: Path, vision: dict[str, Any]) -> Backbone:
    """A pretrained tiny model, as a config and a weights file; every weight away from 0 and 1."""
    vision = {**VIT, **vision}
    quick = vision.pop("quick_gelu", False)
    config = folder / "tiny-opened.json"
    config.write_text(json.dumps({"embed_dim": EMBED_DIM, "vision_cfg": vision, "text_cfg": TEXT, "quick_gelu": quick}))
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    state = open_clip.create_model(config.stem).state_dict()
    save_file(
        {name: value + 0.05 * torch.randn_like(value) for name, value in state.items()}, folder / "base.safetensors"
    )
    return load_backbone(ModelConfig(name=str(config), pretrained=str(folder / "base.safetensors")))


def saved(folder: Path, backbone: Backbone, method: str = "full") -> Path:
    """A checkpoint of that method with weights that have moved."""
    config = TrainConfig(method=method, lora=LoraConfig(r=2, use_dora=method == "lora"))
    head = CosineHead(torch.randn(3, backbone.model.visual.proj.shape[1]), 20.0)
    classifier = METHODS[method].attach(backbone.model, head, MethodSettings.of(config))
    if classifier.adapters is not None:
        with torch.no_grad():
            for parameter in classifier.adapters.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    card = Card(
        method=method,
        base=backbone.base,
        preprocess=backbone.preprocess,
        classes=tuple(ClassInfo(name, name) for name in "abc"),
        templates=("a {}.",),
        head="cosine",
        settings=MethodSettings.of(config).own,
        data={},
    )
    save_classifier(folder / "checkpoint", classifier, card)
    return folder / "checkpoint"


def images_for(checkpoint: Path) -> torch.Tensor:
    size = json.loads((checkpoint / "checkpoint.json").read_text())["preprocess"]["size"]
    return torch.randn(5, 3, *size, generator=torch.Generator().manual_seed(1))


def cold(checkpoint: Path):
    with opened(checkpoint) as files:
        return files.load(CPU).classifier


@pytest.mark.parametrize("vision", PLAIN.values(), ids=PLAIN.keys())
def test_logits_are_those_of_open_clips_model(tmp_path, open_clip_models, vision):
    checkpoint = saved(tmp_path, backbone_of(tmp_path, vision))
    alone, whole = cold(checkpoint), load_classifier(checkpoint, CPU).classifier
    assert isinstance(alone.clip, ImageOnlyClip)
    images = images_for(checkpoint)
    with torch.inference_mode():
        assert torch.equal(alone(images), whole(images))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(alone(images), whole(images))


@pytest.mark.parametrize("method", ["zero_shot", "linear_probe", "lora", "qlora"])
def test_what_saves_no_tower_reads_the_base_models_file(tmp_path, open_clip_models, method):
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    checkpoint = saved(tmp_path, backbone_of(tmp_path, {}), method)
    alone, whole = cold(checkpoint), load_classifier(checkpoint, CPU).classifier
    assert isinstance(alone.clip, ImageOnlyClip)
    with torch.inference_mode():
        assert torch.equal(alone(images_for(checkpoint)), whole(images_for(checkpoint)))


def test_the_embedded_model_is_read_from_the_package(tmp_path, open_clip_models):
    backbone = load_backbone(ModelConfig(name=embedded.MODEL_NAME))
    assert Path(backbone.base.file) == embedded.WEIGHTS_PATH.resolve()
    assert isinstance(cold(saved(tmp_path, backbone, "linear_probe")).clip, ImageOnlyClip)


def test_a_file_in_half_precision_becomes_float32(tmp_path, open_clip_models):
    architecture, weights = write_model(tmp_path)
    save_file({name: value.half() for name, value in load_file(weights).items()}, weights)
    backbone = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
    checkpoint = saved(tmp_path, backbone, "zero_shot")
    alone = cold(checkpoint)
    assert alone.clip.visual.proj.dtype == torch.float32
    with torch.inference_mode():
        images = images_for(checkpoint)
        assert torch.equal(alone(images), load_classifier(checkpoint, CPU).classifier(images))


@pytest.mark.parametrize("vision", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_other_towers_are_left_to_open_clip(vision):
    assert is_plain_vit({"embed_dim": EMBED_DIM, "vision_cfg": VIT, "text_cfg": TEXT})
    assert not is_plain_vit({"embed_dim": EMBED_DIM, "vision_cfg": {**VIT, **vision}, "text_cfg": TEXT})


@pytest.mark.parametrize("family", ["resnet", "timm-vit", "coca"])
def test_and_open_clip_builds_them(tmp_path, open_clip_models, family):
    architecture, weights = write_model(tmp_path, family)
    backbone = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
    folder = tmp_path / "checkpoint"
    head = CosineHead(torch.randn(3, FAMILIES[family].get("embed_dim", EMBED_DIM)), 20.0)
    classes = tuple(ClassInfo(name, name) for name in "abc")
    card = Card("full", backbone.base, backbone.preprocess, classes, ("{}",), "cosine", None, {})
    save_classifier(folder, Classifier(backbone.model, head), card)
    with torch.inference_mode():
        images = images_for(folder)
        assert torch.equal(cold(folder)(images), load_classifier(folder, CPU).classifier(images))


def test_a_moved_or_changed_base_file_is_left_to_open_clip(tmp_path, open_clip_models):
    backbone = backbone_of(tmp_path, {})
    checkpoint = saved(tmp_path, backbone, "zero_shot")
    weights = Path(backbone.base.file)
    tensors = {name: value.clone() for name, value in load_file(weights).items()}  # not mapped: the file changes
    save_file({**tensors, "visual.proj": tensors["visual.proj"] + 1}, weights)
    with pytest.raises(CheckpointError, match="belongs to another base model"):
        cold(checkpoint)
    save_file(tensors, weights, metadata={"note": "the same tensors in another file"})
    assert not isinstance(cold(checkpoint).clip, ImageOnlyClip)


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "head.safetensors", "open_clip_config.json"])
def test_a_flipped_bit_is_refused(tmp_path, open_clip_models, name):
    checkpoint = saved(tmp_path, backbone_of(tmp_path, {}))
    content = bytearray((checkpoint / name).read_bytes())
    content[-3] ^= 1
    (checkpoint / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        cold(checkpoint)


def refusal(load: Callable[[], object]) -> tuple[type, str]:
    """The kind and the words of the error that `load` ends in."""
    with pytest.raises(ClipftError) as caught:
        load()
    return type(caught.value), caught.value.message


def resigned(checkpoint: Path, change: dict[str, Any]) -> None:
    """The card with other facts of the base model, its checksum right again."""
    card = checkpoint / "checkpoint.json"
    content = json.loads(card.read_text())
    content["base"] |= change
    card.write_text(signed_json(content))


@pytest.mark.parametrize(
    "change",
    [
        {"quick_gelu": True},
        {"model_cfg": {"embed_dim": EMBED_DIM, "vision_cfg": {**VIT, "layers": 4}, "text_cfg": TEXT}},
        {"model_cfg": {"embed_dim": EMBED_DIM, "vision_cfg": {**VIT, "width": 48}, "text_cfg": TEXT}},
        {"model_cfg": {"embed_dim": EMBED_DIM, "vision_cfg": {**VIT, "width": 1_000_000}, "text_cfg": TEXT}},
        {"model_cfg": {"embed_dim": EMBED_DIM, "vision_cfg": {**VIT, "turbo": True}, "text_cfg": TEXT}},
    ],
    ids=["activation", "more blocks", "wider", "no limit", "unknown key"],
)
def test_a_description_that_does_not_fit_is_refused_in_the_same_words(tmp_path, open_clip_models, change):
    checkpoint = saved(tmp_path, backbone_of(tmp_path, {}))
    resigned(checkpoint, change)
    assert refusal(lambda: cold(checkpoint)) == refusal(lambda: load_classifier(checkpoint, CPU))


def test_adapters_that_do_not_fit_are_refused_in_the_same_words(tmp_path, open_clip_models):
    checkpoint = saved(tmp_path, backbone_of(tmp_path, {}), "lora")
    adapters = checkpoint / "adapter.safetensors"
    tensors = load_file(adapters)
    save_file({name: value for name, value in tensors.items() if not name.startswith("blocks.0.q")}, adapters)
    card = checkpoint / "checkpoint.json"
    content = json.loads(card.read_text())
    content["files"][adapters.name] = file_digest(adapters)
    card.write_text(signed_json(content))
    assert refusal(lambda: cold(checkpoint)) == refusal(lambda: load_classifier(checkpoint, CPU))
