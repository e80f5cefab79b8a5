"""A CLIP image tower with a head of class vectors on it: images in, logits out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config.model import HeadName
from ...errors import ModelError
from .compiled import CompiledOrPlain
from .layers import HEAD, STEM, TEXT
from .lora import LoraAdapters
from .lora_linear import LinearAdapters
from .prompts import class_vectors
from .vit import FastViT, encode_text, why_text_unsupported, why_unsupported

MAX_SCALE = 100.0
"""Largest factor on cosines, as in CLIP (Radford et al. 2021, section 2.5)."""

_BLOCK_OF_ADAPTER = re.compile(r"adapters\.blocks\.(\d+)\.")


class CosineHead(nn.Module):
    """logits = scale * cosine(features, class vectors). The scale stays as pretrained."""

    scale: Tensor
    kind: HeadName = "cosine"

    def __init__(self, weight: Tensor, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())  # (C, D)
        self.register_buffer("scale", torch.tensor(min(float(scale), MAX_SCALE)))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * directions(features, self.training) @ F.normalize(self.weight, dim=-1).T  # (B, C)


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
        return self.scale * (directions(features, self.training) @ self.weight.T + self.bias)  # (B, C)


def directions(features: Tensor, is_training: bool = False) -> Tensor:
    """Rows of length 1 of features (B, D); NaN, outside training, where their length leaves float32.

    Divided by an infinite length they would be 0, and every image would get the same answer, which looks like one.
    """
    unit = F.normalize(features, dim=-1)  # (B, D)
    if is_training:
        return unit
    return torch.where(torch.linalg.vector_norm(features, dim=-1, keepdim=True).isfinite(), unit, torch.nan)


Head = CosineHead | LinearHead


class Classifier(nn.Module):
    """`clip` keeps open_clip's parameters under open_clip's names; `adapters` are LoRA's, if any.

    Where `trains_text`, the text tower trains too (with `text_adapters`, or whole), and the head is what it makes
    of the class prompts. Takes the fast path where it computes exactly what open_clip's tower does, else
    open_clip's own forward.
    """

    clip: Any
    head: Any
    _tower: Any  # FastViT, or the model's own function

    def __init__(
        self,
        clip: Any,
        head: Head,
        adapters: LoraAdapters | None = None,
        *,
        checkpoint_blocks: bool = False,
        trains_text: bool = False,
        text_adapters: LoraAdapters | None = None,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.head = head
        self.adapters = adapters
        self.trains_text = trains_text
        self.text_adapters = text_adapters
        if trains_text:
            require_text_tower(clip)
            head.requires_grad_(False)  # it follows the text tower
        self._tower = image_tower(clip, adapters, checkpoint_blocks)
        self._frozen_below = 0
        self.train()

    @property
    def feature_cut(self) -> int:
        """The highest place the tower can be cut at, where its features are; 0 is where the images are.

        Between the two the fast path can be cut under each block k, other towers nowhere.
        """
        return self._tower.n_blocks + 1 if isinstance(self._tower, FastViT) else 1

    def cut_under(self, layer_names: Iterable[str]) -> int:
        """The highest cut with none of these layers below it."""
        names = {name for name in layer_names if not name.startswith(TEXT)}
        if names <= {HEAD}:
            return self.feature_cut
        if STEM in names or not isinstance(self._tower, FastViT):
            return 0
        blocks = (int(name.removeprefix("block.")) for name in names if name.startswith("block."))
        return min(blocks, default=self._tower.n_blocks)

    def below(self, images: Tensor, cut: int) -> Tensor:
        """What the part of the tower below `cut` makes of normalised images (B, 3, H, W).

        (B, N, W) under block k, (B, W) above the last block, (B, D) at the features; the images themselves at 0.
        """
        if cut == 0:
            return images
        return self._tower(images) if cut == self.feature_cut else self._tower.prefix(images, cut)

    def forward(self, hidden: Tensor, cut: int = 0) -> Tensor:
        """(B, C) float32 logits of normalised images (B, 3, H, W), or of what `below` gave at `cut`.

        Head and loss stay out of autocast.
        """
        features = self.features_above(hidden, cut)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(features)  # type: ignore[no-any-return]

    def features_above(self, hidden: Tensor, cut: int) -> Tensor:
        """(B, D) float32, not normalised, of what `below` gave at `cut`."""
        if cut == self.feature_cut:
            return hidden.float()
        features: Tensor = self._tower.suffix(hidden, cut) if cut else self._tower(hidden)
        return features.float()

    def features(self, images: Tensor) -> Tensor:
        """(B, D) float32, not normalised, of normalised images (B, 3, H, W)."""
        return self._tower(images).float()

    def text_features(self, tokens: Tensor) -> Tensor:
        """(B, D) float32, not normalised, of tokens (B, N), by the text tower as it is now."""
        return encode_text(self.clip, tokens, self.text_adapters).float()

    def renew_head(self, tokens: Tensor) -> None:
        """Make the cosine head what the text tower makes of the class prompts (C, P, N) now; without dropout."""
        was_training = self.training
        self.eval()
        device = self.head.weight.device
        vectors = class_vectors(self.text_features, tokens.to(device))
        with torch.no_grad():
            self.head.weight.copy_(vectors)
        self.train(was_training)

    def freeze_below(self, cut: int) -> None:
        """From now on training mode leaves out what lies below `cut`: no dropout there."""
        self._frozen_below = cut
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """As nn.Module's, but BatchNorm stays on its stored statistics, and what is frozen in evaluation mode.

        Batches of a fine-tuning run are too small and too uniform to renew the statistics.
        """
        super().train(mode)
        if not mode:
            return self
        if self._frozen_below == self.feature_cut:
            self.clip.visual.eval()
        for name, child in self.named_modules():
            block = _BLOCK_OF_ADAPTER.match(name)
            if (block and int(block[1]) < self._frozen_below) or isinstance(child, nn.modules.batchnorm._BatchNorm):
                child.eval()
        return self

    def compile(self) -> None:  # type: ignore[override]
        """torch.compile of the image tower alone."""
        if isinstance(self._tower, FastViT):
            self._tower.compile()
        else:
            self._tower = CompiledOrPlain(self._tower, (self.clip.visual,))


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


def let_go_of_text(clip: nn.Module) -> None:
    """Give back the memory of everything beside the image tower; names and shapes stay, on the meta device.

    Nothing of it can be computed, saved or moved to a device from then on.
    """
    for name, module in clip.named_children():
        if name != "visual":
            module.to("meta")
    for name, parameter in clip.named_parameters(recurse=False):
        if parameter.ndim:  # the temperature and its bias are single numbers, and stay
            setattr(clip, name, nn.Parameter(parameter.to("meta"), requires_grad=False))


def require_text_tower(clip: nn.Module) -> None:
    """Raises ModelError for a text tower that cannot be trained here."""
    reason = why_text_unsupported(clip)
    if reason is not None:
        raise ModelError(
            f"training.objective: contrastive trains the text tower, and this one cannot be run here: {reason}",
            hint="use --set training.objective=cross_entropy",
        )


def logit_scale_of(clip: Any) -> float:
    """CLIP's temperature as a factor, at most 100."""
    return min(float(clip.logit_scale.detach().exp()), MAX_SCALE)
