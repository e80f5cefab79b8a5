"""Frozen weights in four bits: small, near what they were, and never unpacked for longer than a product."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from clipft_cli.config.model import ModelConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.classifier import CosineHead
from clipft_cli.engine.model.nf4 import Nf4Weight, dense, frozen_linear, n_weights, pack, packed_gib, unpack
from clipft_cli.engine.train import train
from clipft_cli.errors import MissingExtraError

pytest.importorskip("bitsandbytes")


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 96).requires_grad_(False)


def test_a_packed_weight_takes_an_eighth_and_stays_near(layer):
    before = layer.weight.clone()
    pack(layer, "weight")
    assert isinstance(layer.weight, Nf4Weight)
    assert layer.weight.packed.dtype == torch.uint8
    assert layer.weight.packed.numel() == before.numel() / 2
    assert not [t for t in layer.parameters() if t.dtype == torch.float32 and t.ndim == 2]
    assert (dense(layer.weight) - before).abs().mean() < 0.12 * before.abs().mean()
    wide, narrow = packed_gib(layer)
    assert wide == 4 * before.numel() / 2**30
    assert narrow < wide / 4  # the tables weigh on a matrix as small as this
    assert n_weights(layer) == before.numel() + 96


def test_unpacking_gives_what_the_bits_mean(layer):
    pack(layer, "weight")
    meant = layer.weight.dense(torch.float32)
    unpack(layer)
    assert torch.equal(layer.weight, meant)
    assert list(layer.state_dict()) == ["bias", "weight"]


def test_packing_is_the_same_each_time(layer):
    some, same = Nf4Weight(layer.weight), Nf4Weight(layer.weight)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in some.state_dict().items())


def test_the_product_and_its_gradient_are_those_of_the_unpacked_weight(layer):
    weight = Nf4Weight(layer.weight)
    rows = torch.randn(5, 64, requires_grad=True)
    torch.testing.assert_close(
        frozen_linear(rows, weight, layer.bias), nn.functional.linear(rows, dense(weight), layer.bias)
    )
    (gradient,) = torch.autograd.grad(frozen_linear(rows, weight, layer.bias).square().sum(), rows)
    (wanted,) = torch.autograd.grad(nn.functional.linear(rows, dense(weight), layer.bias).square().sum(), rows)
    torch.testing.assert_close(gradient, wanted)


def test_shares_of_a_packed_weight_are_its_rows(layer):
    weight = Nf4Weight(layer.weight)
    first, rest = weight.split((32, 64))
    assert torch.equal(torch.cat([dense(first), dense(rest)]), dense(weight))
    assert torch.equal(dense(rest.chunk(2)[1]), dense(weight)[64:])


def test_nothing_unpacked_is_kept_for_the_backward_pass(layer):
    weight = Nf4Weight(layer.weight)
    kept: list[tuple[int, ...]] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
        frozen_linear(torch.randn(5, 64, requires_grad=True), weight, layer.bias).sum()
    assert tuple(layer.weight.shape) not in kept
    assert tuple(layer.weight.T.shape) not in kept


def test_under_autocast_the_product_is_in_bfloat16(layer):
    weight = Nf4Weight(layer.weight)
    rows = torch.randn(5, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        product = frozen_linear(rows, weight, layer.bias)
    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product.float(), frozen_linear(rows, weight, layer.bias), rtol=0.05, atol=0.05)
    (gradient,) = torch.autograd.grad(product.float().sum(), rows)
    assert gradient.dtype == torch.float32


def test_every_large_matrix_of_the_blocks_is_packed(tiny):
    clip = load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights))).model
    blocks = clip.visual.transformer.resblocks
    n_blocks = sum(p.numel() for p in blocks.parameters() if p.ndim == 2)
    classifier = METHODS["qlora"].attach(
        clip.requires_grad_(False), CosineHead(torch.eye(3, 24), 10.0), MethodSettings.of(TrainConfig(method="qlora"))
    )
    assert not [p for p in classifier.clip.visual.transformer.parameters() if p.ndim == 2 and p.dtype.is_floating_point]
    assert packed_gib(classifier)[0] == 4 * n_blocks / 2**30


def test_without_bitsandbytes_a_run_ends_before_any_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError, match="needs the package bitsandbytes") as error:
        train(tiny.config("qlora", tmp_path / "run"), lambda event: None)
    assert "pip install 'clipft-cli[qlora]'" in error.value.hint
    assert not (tmp_path / "run").exists()
