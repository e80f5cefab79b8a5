"""The pretrained model: loaded as open_clip would, with its activation, or refused in one line."""

from __future__ import annotations

import json
import sys

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_world import FAMILIES, write_model

from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.model.backbone import build_untrained, load_backbone
from clipft_cli.engine.model.weights_file import weights_digest
from clipft_cli.errors import CheckpointError, DownloadError, MissingExtraError, ModelError


@pytest.fixture
def load(tmp_path, open_clip_models):
    def load(family: str, **changes: object):
        architecture, weights = write_model(tmp_path, family)
        return load_backbone(
            ModelConfig.model_validate({"name": str(architecture), "pretrained": str(weights), **changes})
        )

    return load


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_with_the_weights_of_its_file(load, tmp_path, family):
    backbone = load(family)
    saved = load_file(tmp_path / f"tiny-{family}-0.safetensors")
    loaded = backbone.model.state_dict()
    assert set(loaded) == set(saved)
    # bit for bit: open_clip leaves some of CoCa's masks unset, which may be NaN
    assert all(loaded[name].numpy().tobytes() == saved[name].numpy().tobytes() for name in saved)
    assert {parameter.dtype for parameter in backbone.model.parameters()} == {torch.float32}
    assert backbone.preprocess.size == (32, 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_architecture_can_be_built_again_from_what_is_recorded(load, family):
    backbone = load(family)
    again = build_untrained(backbone.base.model_cfg)
    again.load_state_dict(backbone.model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.eval().encode_image(images), backbone.model.eval().encode_image(images))
    assert weights_digest(again) == backbone.base.weights_sha256


@pytest.mark.parametrize(("family", "has"), [("vit", False), ("quickgelu", True)])
def test_the_activation_is_recorded_as_built(load, family, has):
    assert load(family).base.quick_gelu is has


def test_a_tag_trained_with_quick_gelu_builds_it(tmp_path, open_clip_models, monkeypatch):
    """The tags of OpenAI name an architecture without QuickGELU: built so, they are spoilt in silence."""
    architecture, weights = write_model(tmp_path, "vit")
    tag = {"file": str(weights), "quick_gelu": True, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, architecture.stem, {"tiny_tag": tag})
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda cfg, **_: cfg["file"])
    backbone = load_backbone(ModelConfig(name=architecture.stem, pretrained="tiny_tag"))
    assert backbone.base.quick_gelu
    assert backbone.base.model_cfg["quick_gelu"] is True
    assert backbone.preprocess.mean == (0.5, 0.5, 0.5)


def test_a_quick_gelu_architecture_with_a_tag_trained_without_is_refused(tmp_path, open_clip_models, monkeypatch):
    architecture, weights = write_model(tmp_path, "quickgelu")
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, architecture.stem, {"tiny_tag": {"file": str(weights)}})
    with pytest.raises(ModelError, match="has QuickGELU, the tag 'tiny_tag' was trained without it"):
        load_backbone(ModelConfig(name=architecture.stem, pretrained="tiny_tag"))


def test_one_changed_weight_changes_the_digest(load):
    model = load("vit").model
    before = weights_digest(model)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-6
    assert weights_digest(model) != before


def test_weights_of_another_architecture_are_refused(load, tmp_path):
    weights = write_model(tmp_path, "resnet")[1]
    with pytest.raises((ModelError, CheckpointError)) as caught:
        load("vit", pretrained=str(weights))
    assert str(weights) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_weights_file_is_refused(load, tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises((ModelError, CheckpointError)):
        load("vit", pretrained=str(tmp_path / "bad.safetensors"))


def test_a_pickle_with_code_is_not_run(load, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises((ModelError, CheckpointError)):
        load("vit", pretrained=str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"embed_dim": 3}', '{"vision_cfg": {}, "text_cfg": {}}'])
def test_a_json_that_is_no_model_config_is_refused(tmp_path, open_clip_models, content):
    (tmp_path / "m.json").write_text(content)
    (tmp_path / "w.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"m\.json"):
        load_backbone(ModelConfig(name=str(tmp_path / "m.json"), pretrained=str(tmp_path / "w.safetensors")))


def test_weights_that_cannot_be_fetched_name_the_way_out(open_clip_models, monkeypatch):
    def no_network(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(open_clip.factory, "download_pretrained", no_network)
    with pytest.raises(DownloadError) as caught:
        load_backbone(ModelConfig(name="RN50", pretrained="openai"))
    assert caught.value.message == "the weights 'openai' of RN50 could not be fetched: Network is unreachable"
    assert "model.pretrained=FILE" in (caught.value.hint or "")


def test_a_tokenizer_of_a_package_that_is_missing_is_named(tmp_path, open_clip_models, monkeypatch):
    """open_clip takes SigLIP's tokenizer from transformers, by the model's name."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    architecture, weights = write_model(tmp_path)
    as_siglip = architecture.rename(tmp_path / "tiny-siglip.json")
    with pytest.raises(MissingExtraError) as caught:
        load_backbone(ModelConfig(name=str(as_siglip), pretrained=str(weights)))
    assert caught.value.message == f"{as_siglip}: its tokenizer needs the package 'transformers'"
    assert caught.value.hint == "pip install transformers"


def test_a_tokenizer_that_tells_in_words_what_it_needs_is_passed_on(tmp_path, open_clip_models, monkeypatch):
    def wants_more(*_: object, **__: object) -> None:
        raise ImportError("T5Tokenizer requires the SentencePiece library\nbut it was not found")

    monkeypatch.setattr(open_clip, "get_tokenizer", wants_more)
    architecture, weights = write_model(tmp_path)
    with pytest.raises(
        MissingExtraError, match="not installed: T5Tokenizer requires the SentencePiece library but"
    ) as e:
        load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
    assert "None" not in f"{e.value.message} {e.value.hint or ''}"


def test_a_saved_open_clip_folder_is_a_model(load, tmp_path):
    backbone = load("vit")
    folder = tmp_path / "folder"
    folder.mkdir()
    config = {"model_cfg": backbone.base.model_cfg, "preprocess_cfg": backbone.preprocess.to_json()}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(backbone.model.state_dict(), folder / "open_clip_model.safetensors")
    again = load_backbone(ModelConfig(name=str(folder)))
    assert again.base.weights_sha256 == backbone.base.weights_sha256
    assert again.preprocess == backbone.preprocess
    assert again.base.model_cfg == backbone.base.model_cfg
