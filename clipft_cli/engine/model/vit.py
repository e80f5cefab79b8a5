"""One fast forward over open_clip's own towers: same function, same parameters, same gradients.

Nothing is copied: open_clip's modules keep the parameters, so saved keys stay open_clip's. What is faster:
attention chosen by device and dtype, only the class token's query in the last block, a QuickGELU that keeps
one tensor, low-rank adapters beside the frozen products, and a tower that can be cut in two, so that a frozen
lower part runs once.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import block_forward, embed_patches, last_block_forward
from .compiled import CompiledOrPlain
from .image_tower import VisionTransformer, is_named
from .layers import text_tower
from .lora import NO_DELTAS, BlockDeltas, LoraAdapters


def why_unsupported(visual: nn.Module) -> str | None:
    """None if `FastViT` computes exactly what `visual(images)` does, else the reason in a few words."""
    if isinstance(visual, VisionTransformer):
        return None  # built here for this very forward
    if not is_named(visual, "VisionTransformer"):
        return f"{type(visual).__name__} is not open_clip's VisionTransformer"
    if visual.attn_pool is not None:
        return "it pools by attention"
    if visual.pool_type != "tok":
        return f"it pools by '{visual.pool_type}', not by the class token"
    if visual.output_tokens:
        return "it returns its tokens beside the features"
    if not isinstance(visual.patch_dropout, nn.Identity):
        return "it drops patches in training"
    return _why_blocks_unsupported(visual.transformer.resblocks)


def _why_blocks_unsupported(blocks: nn.ModuleList) -> str | None:
    if len(blocks) == 0:
        return "it has no blocks"
    return next((reason for block in blocks if (reason := _why_block_unsupported(block))), None)


def _why_block_unsupported(block: Any) -> str | None:
    if not is_named(block, "ResidualAttentionBlock") or hasattr(block, "ln_1_kv"):
        return f"its blocks are {type(block).__name__}, not plain self-attention"
    attn, mlp = block.attn, block.mlp
    plain = type(attn) is nn.MultiheadAttention and attn.in_proj_weight is not None
    if not plain or attn.in_proj_bias is None or attn.bias_k is not None or attn.add_zero_attn or attn.dropout:
        return "its attention is not a plain nn.MultiheadAttention"
    if type(mlp.gelu) is not nn.GELU and not is_named(mlp.gelu, "QuickGELU"):
        return f"its activation is {type(mlp.gelu).__name__}"
    if type(mlp.c_fc) is not nn.Linear or type(mlp.c_proj) is not nn.Linear:
        return f"its MLP is built of {type(mlp.c_fc).__name__}, not of plain linear layers"
    return None


class FastViT:
    """The forward of an open_clip vision tower, whole or in two parts. Holds references, owns no parameter.

    Ask `why_unsupported` first. `checkpoint_blocks` pays with a second forward for the memory of activations.
    """

    def __init__(
        self,
        visual: Any,
        adapters: LoraAdapters | None = None,
        *,
        checkpoint_blocks: bool = False,
    ) -> None:
        self.visual = visual
        self.adapters = adapters
        self.checkpoint_blocks = checkpoint_blocks

    @property
    def n_blocks(self) -> int:
        return len(self.visual.transformer.resblocks)

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) -> features (B, D), not normalised."""
        return self._top(self._blocks(self._embed(images), 0, self.n_blocks))

    def prefix(self, images: Tensor, k: int) -> Tensor:
        """Everything below block k: (B, N, W), or for k = L the class token alone, (B, W)."""
        return self._blocks(self._embed(images), 0, k)

    def suffix(self, hidden: Tensor, k: int) -> Tensor:
        """Blocks k and above, and the projection: what `prefix(images, k)` gave -> features (B, D)."""
        return self._top(self._blocks(hidden, k, self.n_blocks))

    def compile(self) -> None:
        """torch.compile of the three parts, whole or cut."""
        trained = (self.visual,) if self.adapters is None else (self.visual, self.adapters)
        for part in ("_embed", "_blocks", "_top"):
            setattr(self, part, CompiledOrPlain(getattr(self, part), trained))

    def _embed(self, images: Tensor) -> Tensor:
        """Patches, class token, positions: (B, N, W)."""
        visual = self.visual
        patches = embed_patches(visual.conv1, images)  # (B, N - 1, W)
        first = visual.class_embedding.to(patches.dtype).expand(images.shape[0], 1, -1)
        hidden = torch.cat([first, patches], dim=1) + visual.positional_embedding.to(patches.dtype)
        return visual.ln_pre(hidden)

    def _blocks(self, hidden: Tensor, start: int, stop: int) -> Tensor:
        for index in range(start, stop):
            hidden = self._block(hidden, index)
        return hidden

    def _block(self, hidden: Tensor, index: int) -> Tensor:
        if self.checkpoint_blocks and torch.is_grad_enabled():
            return checkpoint(self._run_block, hidden, index, use_reentrant=False)
        return self._run_block(hidden, index)

    def _run_block(self, hidden: Tensor, index: int) -> Tensor:
        block = self.visual.transformer.resblocks[index]
        deltas = _deltas(self.adapters, index)
        if index == self.n_blocks - 1:
            return last_block_forward(block, hidden, _class_token, deltas)
        return block_forward(block, hidden, deltas)

    def _top(self, pooled: Tensor) -> Tensor:
        """Class token (B, W) -> features (B, D). The norm is per token, so it may follow the pooling."""
        pooled = self.visual.ln_post(pooled)
        return pooled if self.visual.proj is None else pooled @ self.visual.proj


def _deltas(adapters: LoraAdapters | None, index: int) -> BlockDeltas:
    return NO_DELTAS if adapters is None else adapters.of_block(index)


def _class_token(hidden: Tensor) -> Tensor:
    return hidden[:, 0]


def why_text_unsupported(model: nn.Module) -> str | None:
    """None if `encode_text` computes exactly what `model.encode_text(tokens)` does, else the reason."""
    tower = text_tower(model)
    if not is_named(tower, "CLIP", "TextTransformer"):
        return f"{type(tower).__name__} is not open_clip's TextTransformer"
    if getattr(tower, "cls_emb", None) is not None:
        return "it appends a class token"
    if getattr(tower, "output_tokens", False):
        return "it returns its tokens beside the features"
    if getattr(tower, "use_pad_mask", False):
        return "it masks padding"
    if _text_pool(tower)[0] not in ("first", "last", "argmax", "eos"):
        return f"it pools by '{_text_pool(tower)[0]}'"
    return _why_blocks_unsupported(tower.transformer.resblocks)


def encode_text(model: nn.Module, tokens: Tensor, adapters: LoraAdapters | None = None) -> Tensor:
    """Tokens (B, N) -> features (B, D), not normalised; ask `why_text_unsupported` first."""
    from open_clip.transformer import text_global_pool  # a second at import, which image towers do without

    tower = text_tower(model)
    blocks = tower.transformer.resblocks
    dtype = tower.transformer.get_cast_dtype()
    n_tokens = tokens.shape[1]
    pool, eos = _text_pool(tower)

    def pick(hidden: Tensor) -> Tensor:
        return text_global_pool(hidden, tokens, pool, eos_token_id=eos)

    positions = tower.positional_embedding[:n_tokens].to(dtype)
    hidden = tower.token_embedding(tokens).to(dtype) + positions  # (B, N, W)
    mask = None if tower.attn_mask is None else tower.attn_mask[:n_tokens, :n_tokens]
    for index in range(len(blocks) - 1):
        hidden = block_forward(blocks[index], hidden, _deltas(adapters, index), mask)
    mask_row = None if mask is None else pick(mask.expand(len(tokens), -1, -1))[:, None, None]  # (B, 1, 1, N)
    pooled = last_block_forward(blocks[-1], hidden, pick, _deltas(adapters, len(blocks) - 1), mask_row)
    return _project_text(tower, tower.ln_final(pooled))


def _text_pool(tower: Any) -> tuple[str, int | None]:
    """How the tower picks its one token, and the end-of-text id it may need."""
    if is_named(tower, "TextTransformer"):
        return tower.pool_type, tower.eos_id
    return tower.text_pool_type, getattr(tower, "text_eos_id", None)


def _project_text(tower: Any, pooled: Tensor) -> Tensor:
    projection = tower.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection


def tune_allocator() -> bool:
    """Keep freed memory in the process instead of handing it back at every step; True if that was possible.

    A training step frees and asks again for the same large buffers; by default glibc maps each anew and the
    kernel fills it with zeros. Linux with glibc only, silent elsewhere. Call it once, before the first step.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # malloc.h
    settings = ((m_mmap_max, 0), (m_trim_threshold, 2**31 - 1), (m_top_pad, 64 * 2**20))
    return all([mallopt(option, value) == 1 for option, value in settings])
