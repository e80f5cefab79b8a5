"""A model's name: the names people use mean an architecture and a tag; the others are refused with near ones."""

from __future__ import annotations

import open_clip
import pytest

from clipft_cli.engine.model.names import HUGGING_FACE, USUAL_TAGS, near_names, resolve_name
from clipft_cli.errors import ModelError


@pytest.mark.parametrize(
    ("name", "architecture", "tag"),
    [
        ("openai/clip-vit-base-patch32", "ViT-B-32", "openai"),
        ("OpenAI/CLIP-ViT-base-patch32", "ViT-B-32", "openai"),
        ("openai/clip-vit-large-patch14", "ViT-L-14", "openai"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-B-32", "ViT-B-32", "laion2b_s34b_b79k"),
        ("RN50", "RN50", "openai"),
    ],
)
def test_names_people_use(name, architecture, tag):
    found = resolve_name(name, None)
    assert (found.open_clip_name, found.weights, found.is_tag) == (architecture, tag, True)


def test_a_tag_given_wins_over_the_usual_one():
    assert resolve_name("ViT-B-32", "openai").weights == "openai"
    assert resolve_name("openai/clip-vit-base-patch32", "laion2b_s34b_b79k").weights == "laion2b_s34b_b79k"


@pytest.mark.parametrize(("architecture", "tag"), [*HUGGING_FACE.values(), *USUAL_TAGS.items()])
def test_every_known_pair_is_one_of_open_clips(architecture, tag):
    assert tag in open_clip.list_pretrained_tags_by_model(architecture)


def test_the_embedded_model_brings_its_weights():
    found = resolve_name("clipft-tiny", None)
    assert found.weights is not None
    assert found.weights.endswith("clipft_tiny.safetensors")


@pytest.mark.parametrize(
    ("name", "pretrained", "message"),
    [
        ("ViT-B-33", None, "model.name: unknown model 'ViT-B-33'; near ones: ViT-B-32, "),
        ("vit-b-32", None, "model.name: unknown model 'vit-b-32'; near ones: ViT-B-32"),
        ("ViT-B-32", "openi", "model.pretrained: 'openi' is neither a tag of ViT-B-32 nor a file; near ones: openai"),
        ("clipft-tiny", "gone.safetensors", "model.pretrained: gone.safetensors: no such file"),
        ("gone.json", "w.safetensors", "model.name: gone.json: no such file"),
    ],
)
def test_what_is_unknown_is_refused_with_near_ones(name, pretrained, message):
    with pytest.raises(ModelError) as caught:
        resolve_name(name, pretrained)
    assert caught.value.message.startswith(message)


def test_an_architecture_without_weights_asks_for_them(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ModelError, match="its weights are missing"):
        resolve_name(str(tmp_path / "a.json"), None)


def test_near_names_ignore_case_and_may_be_none():
    assert near_names("rn5O", ["RN50", "ViT"]) == "; near ones: RN50"
    assert near_names("zzz", ["RN50"]) == ""
