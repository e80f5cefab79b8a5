"""What is chosen for CUDA, asked without one."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from tiny_world import FAMILIES, write_model

from clipft_cli.config.model import HardwareConfig, ModelConfig
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.cuda import COMPILED_UPDATES, is_convolutional, wants_channels_last, wants_compile

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HAS_TRITON = importlib.util.find_spec("triton") is not None


@pytest.mark.parametrize(
    ("settings", "device", "n_updates", "is_wanted"),
    [
        ({}, CPU, COMPILED_UPDATES, False),
        ({}, CUDA, COMPILED_UPDATES - 1, False),
        ({}, CUDA, COMPILED_UPDATES, HAS_TRITON),
        ({"deterministic": True}, CUDA, COMPILED_UPDATES, False),
        ({"gradient_checkpointing": True}, CUDA, COMPILED_UPDATES, False),
        ({"compile": True}, CPU, 1, True),
        ({"compile": False}, CUDA, COMPILED_UPDATES, False),
    ],
)
def test_compiling_is_for_long_runs_on_cuda(settings, device, n_updates, is_wanted):
    assert wants_compile(HardwareConfig(**settings), device, n_updates) is is_wanted


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"coca"}))
def test_channels_last_is_for_convolutions_on_cuda(tmp_path, open_clip_models, family):
    architecture, weights = write_model(tmp_path, family)
    visual = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights))).model.visual
    assert is_convolutional(visual) is (family in ("resnet", "convnext", "timm-resnet"))
    auto, always, never = (HardwareConfig(channels_last=wish) for wish in ("auto", True, False))
    assert wants_channels_last(auto, CUDA, visual) is is_convolutional(visual)
    assert not wants_channels_last(auto, CPU, visual)
    assert wants_channels_last(always, CPU, visual)
    assert not wants_channels_last(never, CUDA, visual)
