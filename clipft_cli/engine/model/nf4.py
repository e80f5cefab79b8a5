"""Frozen weights in four bits: NF4 in blocks of 64, their scales in eight bits. Needs bitsandbytes.

Source: Dettmers et al. 2023 (QLoRA), sections 3.1 (NormalFloat) and 3.2 (double quantisation).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import MissingExtraError

BLOCK = 64
"""Weights that share one scale, as in the paper."""


def require_bitsandbytes() -> None:
    """Raises MissingExtraError where the package that packs NF4 is not installed."""
    if find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            "method qlora needs the package bitsandbytes, which is not installed",
            hint="pip install 'clipft-cli[qlora]'; or use --method lora, which needs nothing more",
        )


class Nf4Weight(nn.Module):
    """A frozen matrix (out, in) in NF4. Stands under the name of the weight it was made from, which it lets go.

    It is packed on the CPU, so that one base gives the same bits on every device.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        functional = _functional()
        with _without_logs():
            packed, state = functional.quantize_4bit(
                weight.detach().float().cpu().contiguous(),
                blocksize=BLOCK,
                compress_statistics=True,
                quant_type="nf4",
            )
        self.shape = weight.shape
        self.packed = nn.Parameter(packed, requires_grad=False)  # (out * in / 2, 1) uint8: keeps its layer's name
        self._scale_block = int(state.state2.blocksize)
        for name, value in (
            ("code", state.code),  # (16,) the levels
            ("scales", state.absmax),  # one a block, uint8
            ("scale_code", state.state2.code),  # (256,) the levels of the scales
            ("scale_scales", state.state2.absmax),  # one for 256 scales
            ("scale_offset", state.offset),  # () mean of the scales
        ):
            self.register_buffer(name, value)

    @property
    def device(self) -> torch.device:
        return self.packed.device

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The matrix these bits mean, (out, in), in a new tensor."""
        functional = _functional()
        state = functional.QuantState(
            absmax=self.scales,
            shape=self.shape,
            code=self.code,
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=dtype,
            offset=self.scale_offset,
            state2=functional.QuantState(
                absmax=self.scale_scales, code=self.scale_code, blocksize=self._scale_block, dtype=torch.float32
            ),
        )
        return functional.dequantize_4bit(self.packed.data, state)  # type: ignore[no-any-return]

    def split(self, sizes: Sequence[int]) -> tuple[Nf4Rows, ...]:
        """Consecutive rows, as `torch.split` along the first axis; nothing is unpacked."""
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        return tuple(Nf4Rows(self, end - size, end) for size, end in zip(sizes, ends, strict=True))

    def chunk(self, n: int) -> tuple[Nf4Rows, ...]:
        """`n` equal shares of the rows."""
        return self.split([self.shape[0] // n] * n)


@dataclass(frozen=True)
class Nf4Rows:
    """Rows `start` to `stop` of a packed matrix."""

    whole: Nf4Weight
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.stop - self.start, self.whole.shape[1]

    @property
    def device(self) -> torch.device:
        return self.whole.device

    def dense(self, dtype: torch.dtype) -> Tensor:
        """These rows, unpacked."""
        return self.whole.dense(dtype)[self.start : self.stop]

    def chunk(self, n: int) -> tuple[Nf4Rows, ...]:
        """`n` equal shares of these rows."""
        size = (self.stop - self.start) // n
        return tuple(Nf4Rows(self.whole, self.start + i * size, self.start + (i + 1) * size) for i in range(n))


FrozenWeight = Tensor | Nf4Weight | Nf4Rows


def dense(weight: FrozenWeight) -> Tensor:
    """The weight in float32."""
    return weight.float() if isinstance(weight, Tensor) else weight.dense(torch.float32)


def frozen_linear(rows: Tensor, weight: FrozenWeight, bias: Tensor | None) -> Tensor:
    """rows (T, in) @ weight.T + bias. A packed weight is unpacked for the product, and again for its gradient."""
    device = rows.device.type
    if isinstance(weight, Tensor):
        if device != "cpu" or bias is None or not _multiplies_in_bf16(rows):
            return F.linear(rows, weight, bias)
        # F.linear would write the bias first and add the product to it, which takes longer there
        opened = torch.mm(rows, weight.t())
        return opened.add_(bias.to(opened.dtype))
    if torch.is_autocast_enabled(device):
        rows = rows.to(torch.get_autocast_dtype(device))
    product: Tensor = _PackedProduct.apply(rows, weight)
    return product if bias is None else product + bias.to(product.dtype)


def _multiplies_in_bf16(rows: Tensor) -> bool:
    """Whether a product with these rows, on the CPU, is computed in bfloat16."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return rows.dtype == torch.bfloat16


class _PackedProduct(torch.autograd.Function):
    """rows @ weight.T that keeps no unpacked weight for the backward pass: it would undo what packing saves."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Nf4Weight | Nf4Rows) -> Tensor:
        ctx.weight = weight
        return rows @ weight.dense(rows.dtype).T

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.weight.dense(grad.dtype), None


def pack(owner: nn.Module, name: str) -> None:
    """Put the owner's weight of that name into NF4, if it is not; the float32 one is let go."""
    weight: Any = getattr(owner, name)
    if isinstance(weight, Nf4Weight):
        return
    delattr(owner, name)
    setattr(owner, name, Nf4Weight(weight))


def unpack(tower: nn.Module) -> None:
    """Every packed weight of the tower as a float32 parameter again: what the bits mean, not what they were."""
    for owner in list(tower.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, Nf4Weight):
                delattr(owner, name)
                setattr(owner, name, nn.Parameter(child.dense(torch.float32), requires_grad=False))


def n_weights(model: nn.Module) -> int:
    """Weights of a model; a packed one counts as what it stands for."""
    packed = [module for module in model.modules() if isinstance(module, Nf4Weight)]
    plain = sum(parameter.numel() for parameter in model.parameters())
    return plain + sum(weight.shape.numel() - weight.packed.numel() for weight in packed)


def packed_gib(model: nn.Module) -> tuple[float, float]:
    """(GiB in float32, GiB packed) of the weights of `model` that are in NF4."""
    packed = [module for module in model.modules() if isinstance(module, Nf4Weight)]
    before = sum(4 * weight.shape.numel() for weight in packed)
    after = sum(t.numel() * t.element_size() for weight in packed for t in (weight.packed, *weight.buffers()))
    return before / 2**30, after / 2**30


def _functional() -> Any:
    require_bitsandbytes()
    with _without_logs():
        from bitsandbytes import functional
    return functional


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """bitsandbytes and the compiler beneath it log which faster kernels they did not find."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
