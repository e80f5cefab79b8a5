"""A compiler that fails or errs costs a warning, never the run, and never its result."""

from __future__ import annotations

import contextlib
import warnings
from functools import partial

import pytest
import torch
from functorch.compile import make_boxed_func
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend

from clipft_cli.engine.model.compiled import CompiledOrPlain

COMPILE = torch.compile


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch._dynamo.reset()  # it stops compiling a function that was compiled too often


def broken(*args: object, **extra: object) -> None:
    raise AssertionError("tiling_utils")


def as_it_is(graph, inputs):
    return graph


BACKENDS = {"forward": broken, "backward": aot_autograd(fw_compiler=as_it_is, bw_compiler=broken)}


@pytest.mark.parametrize("where", BACKENDS)
def test_a_failing_compiler_is_told_once_and_left_out(monkeypatch, where):
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend=BACKENDS[where]))
    weight = torch.randn(3, 3, requires_grad=True)
    tower = CompiledOrPlain(lambda x: (x @ weight).sin(), [])
    images = torch.randn(2, 3)
    with pytest.warns(RuntimeWarning, match="torch.compile failed on this tower .*runs uncompiled") as told:
        result = tower(images)
    assert len(told) == 1
    assert torch.equal(result, (images @ weight).sin())
    result.sum().backward()
    assert weight.grad is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tower(images)


def test_what_the_tower_itself_refuses_is_no_fault_of_the_compiler(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend="eager"))
    tower = CompiledOrPlain(lambda x: x @ torch.ones(4, 4), [])
    with pytest.raises(RuntimeError):
        tower(torch.ones(2, 3))
    assert torch.equal(tower(torch.ones(1, 4)), torch.full((1, 4), 4.0))


class Layer(nn.Module):
    """Two products: a gradient for each weight and for what comes in."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.sin(self.first(x)))


def losing(nth: int):
    """A compiler whose backward gives zeros in place of one of the gradients."""

    def backward(graph, inputs):
        def run(*args):
            outputs = list(graph(*args))
            there = [place for place, output in enumerate(outputs) if output is not None]
            outputs[there[nth]] = torch.zeros_like(outputs[there[nth]])
            return tuple(outputs)

        return make_boxed_func(run)

    return aot_autograd(fw_compiler=lambda graph, inputs: make_boxed_func(graph), bw_compiler=backward)


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_compiler_that_loses_a_gradient_is_not_trusted(monkeypatch, lost, dtype):
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend=losing(lost)))
    layer, images = Layer(), torch.randn(32, 8)
    expected = torch.autograd.grad(layer(images).sum(), list(layer.parameters()))
    tower = CompiledOrPlain(layer, [layer])
    autocast = torch.autocast("cpu", dtype=dtype) if dtype else contextlib.nullcontext()
    with autocast, pytest.warns(RuntimeWarning, match="another gradient of .*: they differ by 100%"):
        output = tower(images)
    gradients = torch.autograd.grad(output.float().sum(), list(layer.parameters()))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_right_compiler_is_trusted_and_what_lies_below_keeps_its_graph(monkeypatch, dtype, frozen):
    graphs = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend=graphs))
    below, layer = nn.Linear(8, 8), Layer()
    layer.first.requires_grad_(not frozen)
    tower = CompiledOrPlain(layer, [layer])
    images = torch.randn(32, 8)
    autocast = torch.autocast("cpu", dtype=dtype) if dtype else contextlib.nullcontext()
    with warnings.catch_warnings(), autocast:
        warnings.simplefilter("error")
        for _ in range(3):
            tower(below(images)).float().sum().backward()
    assert graphs.frame_count == 1
    assert below.weight.grad is not None
    assert (layer.first.weight.grad is None) == frozen


def test_with_dropout_there_is_nothing_to_compare(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(COMPILE, backend="aot_eager"))
    layer = nn.Sequential(Layer(), nn.Dropout(0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CompiledOrPlain(layer, [layer])(torch.randn(32, 8)).sum().backward()
