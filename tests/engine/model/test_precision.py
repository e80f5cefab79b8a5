"""Device and number format: chosen by what is there, a wish that cannot be met is an error."""

from __future__ import annotations

import os

import pytest
import torch
from pydantic import ValidationError

from clipft_cli.config.model import HardwareConfig
from clipft_cli.engine.model.precision import (
    Precision,
    choose_device,
    choose_precision,
    device_label,
    precision_of,
    set_up,
)
from clipft_cli.errors import ResourceError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("wish", "name"), [("no", "fp32"), ("bf16", "bf16")])
def test_precision_on_the_cpu(wish, name):
    assert choose_precision(wish, CPU).name == name


def test_auto_on_the_cpu_is_never_fp16():
    assert choose_precision("auto", CPU).name in ("bf16", "fp32")


def test_fp16_on_the_cpu_is_refused():
    with pytest.raises(ResourceError, match="fp16 training needs a GPU"):
        choose_precision("fp16", CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_device_is_refused():
    with pytest.raises(ResourceError) as caught:
        choose_device("cuda")
    assert caught.value.message == "hardware.device: 'cuda' is not available here"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_second_gpu_is_refused_by_its_name():
    with pytest.raises(ResourceError, match="'cuda:1' is not available here"):
        choose_device("cuda:1")


@pytest.mark.parametrize(("n", "told"), [(1, "there is one GPU, cuda:0"), (4, "there are 4 GPUs, cuda:0 to cuda:3")])
def test_a_gpu_beyond_the_last_is_refused_with_those_that_are_there(monkeypatch, n, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
    assert choose_device(f"cuda:{n - 1}").index == n - 1
    with pytest.raises(ResourceError, match=told):
        choose_device(f"cuda:{n}")


def test_cuda_without_a_number_is_the_current_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert set_up(HardwareConfig(device="cuda", mixed_precision="no")).device == torch.device("cuda")


@pytest.mark.parametrize("wish", ["cpu:0", "CPU", " cpu "])
def test_the_cpu_has_several_names(wish):
    assert choose_device(HardwareConfig(device=wish).device) == CPU


@pytest.mark.parametrize("wish", ["gpu", "cpu:1", "cuda:", "cuda:-1", "cuda:1:2", "cuda 1", "mps:1", "", "cuda:1000"])
def test_what_is_no_device_is_refused_with_all_that_are(wish):
    with pytest.raises(ValidationError, match="should be auto, cpu, mps, cuda or, where there are several, cuda:1"):
        HardwareConfig(device=wish)


@pytest.mark.parametrize("wish", ["1", 1])
def test_a_bare_number_is_answered_with_the_device_it_may_mean(wish):
    with pytest.raises(ValidationError, match="for the GPU with this number: cuda:1"):
        HardwareConfig(device=wish)


@pytest.mark.parametrize(
    ("device", "dtype", "enabled"),
    [("cpu", None, False), ("cpu", torch.bfloat16, False), ("cuda", torch.bfloat16, False), ("cuda", None, False)],
)
def test_only_fp16_scales_the_loss(device, dtype, enabled):
    assert Precision(torch.device(device), dtype).scaler().is_enabled() is enabled


def test_autocast_follows_the_precision():
    x = torch.randn(4, 4)
    with Precision(CPU, torch.bfloat16).autocast():
        assert (x @ x).dtype == torch.bfloat16
    with Precision(CPU, None).autocast():
        assert (x @ x).dtype == torch.float32


def test_set_up_sets_the_threads_asked_for():
    before = torch.get_num_threads()
    try:
        precision = set_up(HardwareConfig(device="cpu", mixed_precision="no", num_threads=2))
        assert torch.get_num_threads() == 2
        assert (precision.device, precision.name) == (CPU, "fp32")
        assert device_label(CPU) == "cpu (2 threads)"
        torch.set_num_threads(1)
        assert device_label(CPU) == "cpu (1 thread)"
    finally:
        torch.set_num_threads(before)


def test_deterministic_runs_have_the_workspace_that_cublas_asks_for(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        set_up(HardwareConfig(device="cpu", deterministic=True))
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.mark.parametrize(
    ("wish", "trained_in", "name"),
    [
        ("auto", "fp32", "fp32"),
        ("auto", None, choose_precision("auto", CPU).name),
        ("auto", "bf16", choose_precision("auto", CPU).name),
        ("auto", "fp16", choose_precision("auto", CPU).name),  # a CPU has none
        ("bf16", "fp32", "bf16"),
        ("no", "bf16", "fp32"),
    ],
)
def test_a_checkpoint_is_used_as_it_was_trained_unless_told_otherwise(wish, trained_in, name):
    assert precision_of(wish, trained_in, CPU).name == name
