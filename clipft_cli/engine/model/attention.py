"""Attention, QuickGELU and one residual block, over the parameters open_clip's own modules hold.

Shapes: B images (or texts), N tokens, W width, H heads, d = W / H. Linear layers see (B * N, W), contiguous:
on the CPU a bfloat16 layer over a strided input falls into a batched product, four times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .image_tower import is_named
from .lora import LoraAdapters, adapted_linear

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


def block_forward(
    block: Any,
    hidden: Tensor,
    index: int,
    adapters: LoraAdapters | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """One residual block, (B, N, W) -> (B, N, W); `index` names the block to the adapters."""
    batch, tokens, width = hidden.shape
    attn = block.attn
    normed = block.ln_1(hidden).reshape(-1, width)
    qkv = adapted_linear(normed, attn.in_proj_weight, attn.in_proj_bias, _deltas(adapters, index, "q", "k", "v"))
    q, k, v = _split_heads(qkv, batch, 3, attn.num_heads)
    mixed = attend(q, k, v, mask)  # (B * N, W)
    return _after_attention(block, hidden.reshape(-1, width), mixed, index, adapters).view(batch, tokens, width)


def last_block_forward(
    block: Any,
    hidden: Tensor,
    pick: Pick,
    index: int,
    adapters: LoraAdapters | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The last block for the one token that is read, (B, N, W) -> (B, W): no other query reaches the output.

    `mask` is the picked token's row, (B, 1, 1, N).
    """
    batch, _, width = hidden.shape
    attn = block.attn
    normed = block.ln_1(hidden)
    q_weight, kv_weight = attn.in_proj_weight.split((width, 2 * width))
    q_bias, kv_bias = attn.in_proj_bias.split((width, 2 * width))
    q = adapted_linear(pick(normed), q_weight, q_bias, _deltas(adapters, index, "q"))
    kv = adapted_linear(normed.reshape(-1, width), kv_weight, kv_bias, _deltas(adapters, index, "k", "v"))
    (query,) = _split_heads(q, batch, 1, attn.num_heads)  # (B, H, 1, d)
    keys, values = _split_heads(kv, batch, 2, attn.num_heads)
    return _after_attention(block, pick(hidden), attend(query, keys, values, mask), index, adapters)


def _after_attention(block: Any, residual: Tensor, mixed: Tensor, index: int, adapters: LoraAdapters | None) -> Tensor:
    """Output projection, residual, MLP, residual, over rows of width W."""
    attn, mlp = block.attn, block.mlp
    out = adapted_linear(mixed, attn.out_proj.weight, attn.out_proj.bias, _deltas(adapters, index, "out"))
    hidden = residual + block.ls_1(out)
    inner = adapted_linear(block.ln_2(hidden), mlp.c_fc.weight, mlp.c_fc.bias, _deltas(adapters, index, "fc1"))
    inner = quick_gelu(inner) if is_named(mlp.gelu, "QuickGELU") else mlp.gelu(inner)
    out = adapted_linear(inner, mlp.c_proj.weight, mlp.c_proj.bias, _deltas(adapters, index, "fc2"))
    return hidden + block.ls_2(out)


def _split_heads(rows: Tensor, batch: int, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B * N, parts * W) -> `parts` views of (B, H, N, d)."""
    return rows.view(batch, -1, parts, heads, rows.shape[-1] // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)


def _deltas(adapters: LoraAdapters | None, index: int, *targets: str) -> tuple[Any, ...]:
    return (None,) * len(targets) if adapters is None else adapters.of_block(index, *targets)
