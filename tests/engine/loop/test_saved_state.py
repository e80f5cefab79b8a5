"""The state between two updates: what is put back steps as what was saved, however its tensors lie in memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from clipft_cli.engine.loop.resume import Owners, TrainState, load_state, save_state

NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


def trained(layout: torch.memory_format) -> tuple[nn.Conv2d, torch.optim.Optimizer]:
    """A convolution whose weights lie in `layout`, before its first step."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3).to(memory_format=layout)
    return conv, torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)


def step(conv: nn.Conv2d, optimizer: torch.optim.Optimizer, seed: int) -> None:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    conv(images).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "channels last"])
def test_the_optimizer_goes_on_bit_for_bit(tmp_path, layout):
    conv, optimizer = trained(layout)
    step(conv, optimizer, 1)
    save_state(tmp_path, TrainState(step=1), Owners(dict(conv.named_parameters()), optimizer, NO_SCALER, None))
    resumed, its_optimizer = trained(layout)
    load_state(tmp_path, Owners(dict(resumed.named_parameters()), its_optimizer, NO_SCALER, None))
    for seed in (2, 3):
        step(conv, optimizer, seed)
        step(resumed, its_optimizer, seed)
    assert torch.equal(resumed.weight, conv.weight)
