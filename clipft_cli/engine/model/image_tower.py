"""The image tower alone, under open_clip's names, without importing open_clip: what a cold start waits for.

`FastViT` runs it. The classes carry the names of open_clip's, since whoever asks what a tower is asks by name;
they have its parameters and no forward where none is called.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ..files.regular import as_regular
from ..files.tensors import finite_float32

_PLAIN: dict[str, Any] = {
    "attentional_pool": False,
    "block_type": "default",
    "output_tokens": False,
    "patch_dropout": 0.0,
    "pool_type": "tok",
    **dict.fromkeys(("qk_norm", "scaled_cosine_attn", "scale_heads"), False),
    **dict.fromkeys(("scale_attn", "scale_attn_inner", "scale_fc"), False),
}
"""Keys of a vision_cfg that are understood at this value (or empty) only."""

_DEFAULTS: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 16,
    "width": 768,
    "layers": 12,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "ls_init_value": None,
    "no_ln_pre": False,
    "norm_kwargs": None,
    "act_kwargs": None,
}
"""Keys that are understood at every value, with open_clip's own for those left out."""

_WITHOUT_EFFECT = {"pos_embed_type", "final_ln_after_pool", "attn_pooler_queries", "attn_pooler_heads"}
"""Positions are read, however they began; a norm of each token may stand before or after one is picked."""

_MODEL_KEYS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text"}
_MODEL_KEYS |= {"init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"}


def is_named(module: object, *names: str) -> bool:
    """Whether a module is exactly one of open_clip's classes of these names, or one of those below; no subclass."""
    kind = type(module)
    return kind.__name__ in names and kind.__module__.partition(".")[0] in ("open_clip", __name__.partition(".")[0])


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class LayerNorm(nn.LayerNorm):
    """Answers in the type it was asked in, under autocast too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(x.dtype)


class LayerScale(nn.Module):
    """A factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class ResidualAttentionBlock(nn.Module):
    """Parameters of one block; `attention.block_forward` computes it."""

    def __init__(self, cfg: Mapping[str, Any], norm: Callable[..., nn.Module], act: Callable[..., nn.Module]) -> None:
        super().__init__()
        width, inner = cfg["width"], int(cfg["width"] * cfg["mlp_ratio"])
        has_scale = cfg["ls_init_value"] is not None
        self.ln_1 = norm(width)
        self.attn = nn.MultiheadAttention(width, width // cfg["head_width"], batch_first=True)
        self.ls_1 = LayerScale(width) if has_scale else nn.Identity()
        self.ln_2 = norm(width)
        layers = {"c_fc": nn.Linear(width, inner), "gelu": act(), "c_proj": nn.Linear(inner, width)}
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.ls_2 = LayerScale(width) if has_scale else nn.Identity()


class Transformer(nn.Module):
    """The blocks, in order."""

    def __init__(self, blocks: list[ResidualAttentionBlock]) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(blocks)


class VisionTransformer(nn.Module):
    """Parameters of a tower with a class token; `vit.FastViT` computes it."""

    def __init__(
        self, embed_dim: int, cfg: Mapping[str, Any], norm: Callable[..., nn.Module], act: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        width, patch = cfg["width"], _pair(cfg["patch_size"])
        grid = [side // step for side, step in zip(_pair(cfg["image_size"]), patch, strict=True)]
        self.conv1 = nn.Conv2d(3, width, kernel_size=patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(grid[0] * grid[1] + 1, width))
        self.ln_pre = nn.Identity() if cfg["no_ln_pre"] else norm(width)
        self.transformer = Transformer([ResidualAttentionBlock(cfg, norm, act) for _ in range(cfg["layers"])])
        self.ln_post = norm(width)
        self.proj = nn.Parameter(torch.empty(width, embed_dim))


class ImageOnlyClip(nn.Module):
    """A CLIP without its text tower, for a classifier whose class vectors are known."""

    def __init__(self, visual: VisionTransformer) -> None:
        super().__init__()
        self.visual = visual


def is_plain_vit(model_cfg: Mapping[str, Any]) -> bool:
    """Whether `read_image_tower` builds the image tower that `model_cfg` (open_clip's own form) describes."""
    vision = model_cfg.get("vision_cfg")
    if not isinstance(vision, Mapping) or not set(model_cfg) <= _MODEL_KEYS:
        return False
    layers = vision.get("layers", _DEFAULTS["layers"])
    return (
        isinstance(layers, int)
        and layers > 0
        and all(value in (None, _PLAIN[key]) for key, value in vision.items() if key in _PLAIN)
        and set(vision) <= {*_PLAIN, *_DEFAULTS, *_WITHOUT_EFFECT}
    )


def read_image_tower(model_cfg: Mapping[str, Any], weights: Path) -> ImageOnlyClip:
    """The image tower of a safetensors file of a whole CLIP, memory-mapped; ask `is_plain_vit` first.

    Float32, on the CPU, for inference. Raises KeyError, TypeError, ValueError or RuntimeError where file and
    description do not fit together.
    """
    cfg = {**_DEFAULTS, **model_cfg["vision_cfg"]}
    norm = partial(LayerNorm, **(cfg["norm_kwargs"] or {}))
    act = partial(QuickGELU if model_cfg.get("quick_gelu") else nn.GELU, **(cfg["act_kwargs"] or {}))
    with torch.device("meta"):
        clip = ImageOnlyClip(VisionTransformer(model_cfg["embed_dim"], cfg, norm, act))
    with safe_open(as_regular(weights), framework="pt") as file:
        tensors = {
            name: finite_float32(name, file.get_tensor(name))
            for name in file.keys()  # noqa: SIM118
            if name.startswith("visual.")
        }
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise ValueError("a tower's numbers are no whole ones")
    clip.load_state_dict(tensors, assign=True)
    return clip.requires_grad_(False)


def _pair(side: Any) -> tuple[int, int]:
    """(height, width) of one side or two."""
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return height, width
