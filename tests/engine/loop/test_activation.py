"""Weights from a file, of an architecture that was published with GELU and with QuickGELU."""

from __future__ import annotations

import shutil
from pathlib import Path

import open_clip.pretrained
import pytest
import torch

from clipft_cli.config.load import load_config
from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.demo import tiny
from clipft_cli.engine.loop.activation import (
    is_clearly_better,
    is_open_question,
    tell_of_activation,
    with_other_activation,
)
from clipft_cli.engine.loop.material import load_material
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.model.backbone import has_quick_gelu
from clipft_cli.engine.prepare import prepare

BOTH = {"with": {"url": "", "quick_gelu": True}, "without": {"url": ""}}


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    prepare(load_config(PrepareConfig, sets=["prepare.num_classes=4", "prepare.samples_per_class=24"]))
    shutil.copy(tiny.WEIGHTS_PATH, "mine.safetensors")
    config = load_config(
        TrainConfig, sets=["method=zero_shot", "model.name=clipft-tiny", "model.pretrained=mine.safetensors"]
    )
    found = load_material(config, read_manifest(config.data.dir))
    yield found
    found.loader.close()


def test_nothing_is_asked_where_the_architecture_was_published_one_way(material) -> None:
    said: list = []
    tell_of_activation(material, said.append)
    assert said == []


def test_what_was_taken_is_said_with_both_figures(material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, tiny.MODEL_NAME, BOTH)
    assert is_open_question(material.backbone.base)
    said: list = []
    tell_of_activation(material, said.append)
    assert len(said) == 1
    assert not said[0].is_warning  # the weights' own activation is not the worse one
    assert "a file does not tell which: " in said[0].text
    assert f"zero-shot on {len(material.val_set.rows)} val images: " in said[0].text


def test_the_other_activation_is_the_only_difference(material) -> None:
    model = material.backbone.model.eval()
    other = with_other_activation(model)
    pixels = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        assert not torch.allclose(other.encode_image(pixels), model.encode_image(pixels), atol=1e-4)
        again = with_other_activation(other)
        assert torch.equal(again.encode_image(pixels), model.encode_image(pixels))
    assert has_quick_gelu(other) != has_quick_gelu(model)


@pytest.mark.parametrize(
    ("lost", "won", "expected"), [(0, 5, True), (1, 9, True), (0, 4, False), (5, 5, False), (9, 1, False)]
)
def test_clearly_better_is_a_sign_test(lost: int, won: int, expected: bool) -> None:
    taken = torch.tensor([True] * (lost + 20) + [False] * won)
    other = torch.tensor([False] * lost + [True] * (20 + won))
    assert is_clearly_better(other, taken) is expected
