"""The model that is exported: loaded in float32 on the CPU, its adapters written into its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoint.card import Card
from ..checkpoint.load import Loaded, load_verified
from ..checkpoint.opened import opened
from ..checkpoint.zero_shot import merge_text_adapters
from ..model.classifier import Classifier, CosineHead
from ..model.image_tower import ImageOnlyClip

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PlainHead:
    """Both kinds of head, and the temperature, as one formula: probabilities are
    softmax(scale * unit features @ vectors.T + bias); `vectors` is (C, D), `bias` (C,)."""

    vectors: Tensor
    scale: float
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """(B, C) of features (B, D); softmax of them is calibrated."""
        return self.scale * F.normalize(features, dim=-1) @ self.vectors.T + self.bias

    def tensors(self) -> dict[str, Tensor]:
        """By the names that open_clip's users know."""
        return {"text_features": self.vectors, "logit_scale": torch.tensor(self.scale), "logit_bias": self.bias}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> PlainHead:
        """What `tensors` gave."""
        return cls(tensors["text_features"], float(tensors["logit_scale"]), tensors["logit_bias"])


@dataclass(frozen=True)
class Source:
    """A verified checkpoint. `loaded` is as it was trained, its adapters beside its weights."""

    checkpoint: Path
    loaded: Loaded
    base: Path | None = None

    @property
    def card(self) -> Card:
        """What is known of it besides its weights."""
        return self.loaded.card

    @property
    def model_cfg(self) -> dict[str, Any]:
        """open_clip's description of the model, with the activation that was really built."""
        cfg = self.card.base.model_cfg
        return {**cfg, "quick_gelu": True} if self.card.base.quick_gelu else dict(cfg)

    @property
    def class_names(self) -> list[str]:
        """In the order of the probabilities."""
        return [info.name for info in self.loaded.classes]

    @cached_property
    def merged(self) -> Classifier:
        """A copy with the adapters in its weights."""
        return merged(self.loaded.classifier)

    @cached_property
    def head(self) -> PlainHead:
        """Head and temperature as one formula."""
        return plain_head(self.loaded.classifier, self.loaded.temperature)

    def whole(self) -> nn.Module:
        """open_clip's whole model, both towers, with the adapters in its weights."""
        loaded = self.loaded
        if isinstance(loaded.classifier.clip, ImageOnlyClip):
            loaded = load_verified(self.checkpoint, loaded.meta, CPU, self.base)
        clip: nn.Module = merged(loaded.classifier).clip
        merge_text_adapters(self.checkpoint, self.card, clip)
        return clip


def open_source(checkpoint: Path, base: Path | None) -> Source:
    """The model of a checkpoint, verified. Raises CheckpointError where it is damaged, or its base is not there."""
    with opened(checkpoint, base) as files:
        return Source(checkpoint, files.load(CPU), base)


@torch.no_grad()
def merged(classifier: Classifier) -> Classifier:
    """A copy, in evaluation mode, with the adapters written into the image tower and gone."""
    own = copy.deepcopy(classifier)
    if own.adapters is not None:
        own.adapters.merge_into(own.clip.visual)
    return Classifier(own.clip, own.head).requires_grad_(False).eval()


@torch.no_grad()
def plain_head(classifier: Classifier, temperature: float) -> PlainHead:
    """The head of a classifier, its scale divided by the temperature."""
    head: Any = classifier.head
    weight, scale = head.weight.detach().float(), float(head.scale) / temperature
    if isinstance(head, CosineHead):
        return PlainHead(F.normalize(weight, dim=-1), scale, torch.zeros(len(weight)))
    return PlainHead(weight.clone(), scale, scale * head.bias.detach().float())
