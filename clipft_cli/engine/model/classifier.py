"""A CLIP image tower with a head of class vectors on it: images in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config.model import HeadName
from ...errors import ModelError
from .lora import LoraAdapters
from .lora_linear import LinearAdapters
from .vit import FastViT, why_unsupported

MAX_SCALE = 100.0
"""Largest factor on cosines, as in CLIP (Radford et al. 2021, section 2.5)."""


class CosineHead(nn.Module):
    """logits = scale * cosine(features, class vectors). The scale stays as pretrained."""

    scale: Tensor
    kind: HeadName = "cosine"

    def __init__(self, weight: Tensor, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())  # (C, D)
        self.register_buffer("scale", torch.tensor(min(float(scale), MAX_SCALE)))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * F.normalize(features, dim=-1) @ F.normalize(self.weight, dim=-1).T  # (B, C)


class LinearHead(nn.Module):
    """logits = scale * (unit features @ weight.T + bias); the scale keeps weights near 1, so that one learning
    rate suits both heads."""

    scale: Tensor
    kind: HeadName = "linear"

    def __init__(self, weight: Tensor, bias: Tensor | None, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())  # (C, D)
        self.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias.clone())  # (C,)
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * (F.normalize(features, dim=-1) @ self.weight.T + self.bias)  # (B, C)


Head = CosineHead | LinearHead


class Classifier(nn.Module):
    """`clip` keeps open_clip's parameters under open_clip's names; `adapters` are LoRA's, if any.

    Takes the fast path where it computes exactly what open_clip's tower does, else open_clip's own forward.
    """

    clip: Any
    head: Any
    _tower: Callable[[Tensor], Tensor]

    def __init__(
        self,
        clip: Any,
        head: Head,
        adapters: LoraAdapters | None = None,
        *,
        checkpoint_blocks: bool = False,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.head = head
        self.adapters = adapters
        self._tower = image_tower(clip, adapters, checkpoint_blocks)

    def features(self, images: Tensor) -> Tensor:
        """(B, D) float32, not normalised, of normalised images (B, 3, H, W)."""
        return self._tower(images).float()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) float32 logits; head and loss stay out of autocast."""
        features = self.features(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.head(features)  # type: ignore[no-any-return]

    def compile(self) -> None:  # type: ignore[override]
        """torch.compile of the image tower alone."""
        self._tower = torch.compile(self._tower)  # type: ignore[assignment]


def image_tower(
    clip: Any, adapters: LoraAdapters | None = None, checkpoint_blocks: bool = False
) -> Callable[[Tensor], Tensor]:
    """The fastest forward that equals the model's own `encode_image`, not normalised."""
    visual = clip.visual
    reason = why_unsupported(visual)
    if reason is None:
        return FastViT(visual, adapters, checkpoint_blocks=checkpoint_blocks)
    if adapters is not None and not isinstance(adapters, LinearAdapters):
        raise ModelError(f"these adapters need the fast path, and {reason}", hint="use --method full")
    if checkpoint_blocks and hasattr(visual, "set_grad_checkpointing"):
        visual.set_grad_checkpointing(True)
    return partial(clip.encode_image, normalize=False)


def freeze_batch_norm(module: nn.Module) -> None:
    """BatchNorm on stored statistics: batches of a fine-tuning run are too small and too uniform to renew them."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.eval()


def logit_scale_of(clip: Any) -> float:
    """CLIP's temperature as a factor, at most 100."""
    return min(float(clip.logit_scale.detach().exp()), MAX_SCALE)
