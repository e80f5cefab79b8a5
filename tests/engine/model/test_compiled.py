"""A compiler that fails costs a warning, never the run."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd

from clipft_cli.engine.model.compiled import CompiledOrPlain


def broken(*args: object, **extra: object) -> None:
    raise AssertionError("tiling_utils")


def as_it_is(graph, inputs):
    return graph


BACKENDS = {"forward": broken, "backward": aot_autograd(fw_compiler=as_it_is, bw_compiler=broken)}


@pytest.mark.parametrize("where", BACKENDS)
def test_a_failing_compiler_is_told_once_and_left_out(monkeypatch, where):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=BACKENDS[where]))
    weight = torch.randn(3, 3, requires_grad=True)
    tower = CompiledOrPlain(lambda x: (x @ weight).sin())
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
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    tower = CompiledOrPlain(lambda x: x @ torch.ones(4, 4))
    with pytest.raises(RuntimeError):
        tower(torch.ones(2, 3))
    assert torch.equal(tower(torch.ones(1, 4)), torch.full((1, 4), 4.0))
