"""Attention, QuickGELU and one residual block, over the parameters open_clip's own modules hold.

Shapes: B images (or texts), N tokens, W width, H heads, d = W / H. Linear layers see (B * N, W), contiguous:
on the CPU a bfloat16 layer over a strided input falls into a batched product, four times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .image_tower import is_named
from .lora import NO_DELTAS, BlockDeltas, LoraDelta, adapted_linear
from .nf4 import FrozenWeight

Pick = Callable[[Tensor], Tensor]  # (B, N, W) -> (B, W): the one token a tower reads at its end


class _QuickGelu(torch.autograd.Function):
    """x * sigmoid(1.702 x), keeping only x: open_clip's form keeps two tensors, with five passes backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x * 1.702).sigmoid_().mul_(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # d/dx [silu(a x) / a] = silu'(a x), and x sigmoid(a x) = silu(a x) / a.
        return torch.ops.aten.silu_backward(grad, x * 1.702)


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI CLIP's activation. Source: Hendrycks & Gimpel 2016, the sigmoid approximation of GELU."""
    if torch.compiler.is_compiling():  # which keeps as little by itself, and has lost this Function's gradient
        return x * torch.sigmoid(1.702 * x)
    return _QuickGelu.apply(x)


def embed_patches(conv: nn.Conv2d, images: Tensor) -> Tensor:
    """What `conv` makes of images (B, 3, S, S), a row for each patch: (B, P, W).

    On a CPU in bfloat16 it is one product over the unfolded pixels: the convolution takes half as long again there,
    and as much for its gradient.
    """
    is_bf16 = conv.weight.dtype == torch.bfloat16 or (
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
    if images.device.type != "cpu" or not is_bf16 or conv.kernel_size != conv.stride:
        return conv(images).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]
    return F.linear(_unfold(images.bfloat16(), conv.kernel_size), conv.weight.flatten(1), conv.bias)


def _unfold(images: Tensor, patch: tuple[int, ...]) -> Tensor:
    """(B, 3, S, S) -> (B, P, 3 * p * p), the pixels of a patch in the order of a kernel's weights."""
    batch, channels, height, width = images.shape
    rows, columns = height // patch[0], width // patch[1]
    whole = images[:, :, : rows * patch[0], : columns * patch[1]]  # a rim is left over where it is not a multiple
    grid = whole.reshape(batch, channels, rows, patch[0], columns, patch[1]).permute(0, 2, 4, 1, 3, 5)
    return grid.reshape(batch, rows * columns, -1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d) + mask) v for q (B, H, M, d) and k, v (B, H, N, d), as (B * M, H * d).

    `mask` is additive and broadcasts over heads: (M, N) or (B, 1, M, N).
    On a CPU in bfloat16 the three steps are written out: the backward of scaled_dot_product_attention takes
    two to five times as long there.
    """
    batch, heads, queries, _ = q.shape
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        out = _attend_by_steps(q, k, v, mask)
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask.to(q.dtype))
    return out.transpose(1, 2).reshape(batch * queries, heads * v.shape[-1])


def _attend_by_steps(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    batch, heads, queries, width = q.shape
    rows, tokens = batch * heads, k.shape[2]
    scores = torch.bmm(  # (B * H, M, N)
        (q * width**-0.5).reshape(rows, queries, width), k.reshape(rows, tokens, width).transpose(1, 2)
    )
    if mask is not None:
        scores = (scores.view(batch, heads, queries, tokens) + mask.to(scores.dtype)).view(rows, queries, tokens)
    out = torch.bmm(scores.softmax(dim=-1), v.reshape(rows, tokens, width))
    return out.view(batch, heads, queries, width)


def block_forward(block: Any, hidden: Tensor, deltas: BlockDeltas = NO_DELTAS, mask: Tensor | None = None) -> Tensor:
    """One residual block, (B, N, W) -> (B, N, W)."""
    batch, tokens, width = hidden.shape
    attn = block.attn
    normed = block.ln_1(hidden).reshape(-1, width)
    qkv = adapted_linear(normed, attn.in_proj_weight, attn.in_proj_bias, deltas[:3])
    q, k, v = _split_heads(qkv, batch, 3, attn.num_heads)
    mixed = attend(q, k, v, mask)  # (B * N, W)
    return _after_attention(block, hidden.reshape(-1, width), mixed, deltas).view(batch, tokens, width)


def last_block_forward(
    block: Any,
    hidden: Tensor,
    pick: Pick,
    deltas: BlockDeltas = NO_DELTAS,
    mask: Tensor | None = None,
) -> Tensor:
    """The last block for the one token that is read, (B, N, W) -> (B, W): no other query reaches the output.

    `mask` is the picked token's row, (B, 1, 1, N).
    """
    seen = _read_by_one(block.attn, block.ln_1(hidden), pick, deltas[:3], mask)
    return _after_attention(block, pick(hidden), seen, deltas)


def _read_by_one(attn: Any, normed: Tensor, pick: Pick, deltas: tuple[Any, ...], mask: Tensor | None) -> Tensor:
    """What the picked token reads of all, (B, N, W) -> (B, W), with no token's key or value computed.

    q (K x) is (q K) x, and a mean of V x is V of the mean of x: for one query that is less by the number of tokens.
    The bias of the keys moves all scores of a query alike, which softmax does not see: its gradient is zero.
    """
    batch, _, width = normed.shape
    heads, size = attn.num_heads, width // attn.num_heads
    q_weight, k_weight, v_weight = attn.in_proj_weight.chunk(3)
    q_bias, _, v_bias = attn.in_proj_bias.chunk(3)
    q = adapted_linear(pick(normed), q_weight, q_bias, deltas[:1]) * size**-0.5
    normed = normed.to(q.dtype)
    dropped = next((delta.dropout(normed) for delta in deltas[1:] if delta is not None), normed)
    keys, values = (_HeadRows.of(*pair, heads, q.dtype) for pair in ((k_weight, deltas[1]), (v_weight, deltas[2])))

    query = q.view(batch, heads, size).transpose(0, 1)  # (H, B, d)
    scores = torch.bmm(torch.bmm(keys.stretched(query), keys.weight).transpose(0, 1), normed.mT)  # (B, H, N)
    if keys.delta is not None:
        up, down = keys.delta
        scores = scores + torch.bmm((torch.bmm(query, up) @ down).transpose(0, 1), dropped.mT)
    if mask is not None:
        scores = scores + mask[:, 0].to(scores.dtype)
    shares = scores.softmax(dim=-1).to(q.dtype)
    seen = torch.bmm(shares, normed).transpose(0, 1)  # (H, B, W)
    out = values.stretched(torch.bmm(seen, values.weight.mT))  # (H, B, d)
    if values.delta is not None:
        up, down = values.delta
        out = out + torch.bmm(torch.bmm(shares, dropped).transpose(0, 1) @ down.T, up.mT)
    return out.transpose(0, 1).reshape(batch, width) + v_bias.to(out.dtype)


@dataclass(frozen=True)
class _HeadRows:
    """The rows of a projection by head, `weight` (H, d, W), and what a delta does to them: `stretch` (H, 1, d), and
    `delta`, the factors (H, d, r) and (r, W), of which all heads share the second."""

    weight: Tensor
    stretch: Tensor | None = None
    delta: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, weight: FrozenWeight, delta: LoraDelta | None, heads: int, dtype: torch.dtype) -> _HeadRows:
        rows = (weight if isinstance(weight, Tensor) else weight.dense(dtype)).to(dtype)
        rows = rows.view(heads, -1, rows.shape[1])
        if delta is None:
            return cls(rows)
        stretch, up = delta.factors(weight)
        factors = up.to(dtype).view(heads, -1, up.shape[1]), delta.lora_A.to(dtype)
        return cls(rows, None if stretch is None else stretch.to(dtype).view(heads, 1, -1), factors)

    def stretched(self, heads: Tensor) -> Tensor:
        """(H, B, d), each component by the stretch of its row."""
        return heads if self.stretch is None else heads * self.stretch


def _after_attention(block: Any, residual: Tensor, mixed: Tensor, deltas: BlockDeltas) -> Tensor:
    """Output projection, residual, MLP, residual, over rows of width W."""
    attn, mlp = block.attn, block.mlp
    out = adapted_linear(mixed, attn.out_proj.weight, attn.out_proj.bias, (deltas.out,))
    hidden = residual + block.ls_1(out)
    inner = adapted_linear(block.ln_2(hidden), mlp.c_fc.weight, mlp.c_fc.bias, (deltas.fc1,))
    inner = quick_gelu(inner) if is_named(mlp.gelu, "QuickGELU") else mlp.gelu(inner)
    out = adapted_linear(inner, mlp.c_proj.weight, mlp.c_proj.bias, (deltas.fc2,))
    return hidden + block.ls_2(out)


def _split_heads(rows: Tensor, batch: int, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B * N, parts * W) -> `parts` views of (B, H, N, d)."""
    return rows.view(batch, -1, parts, heads, rows.shape[-1] // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)
