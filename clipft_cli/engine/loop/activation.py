"""Was the file of weights trained with QuickGELU? No tensor tells, and the wrong one costs accuracy in silence.

OpenAI's and MetaCLIP's CLIPs have QuickGELU, LAION's and DataComp's have GELU, in files of the same shapes. Where an
architecture was published with both, zero-shot is measured both ways on a part of val.
"""

from __future__ import annotations

import copy

import open_clip
import torch
from open_clip.transformer import QuickGELU
from scipy.stats import binomtest
from torch import nn

from ..events import Note, OnEvent
from ..images.dataset import ImageDataset
from ..model.base_model import BaseModel
from ..model.classifier import Classifier, CosineHead
from ..model.inference import split_features
from ..model.prompts import zero_shot_head
from .material import Material

_MOST_IMAGES = 128
_CLEAR = 0.05


def is_open_question(base: BaseModel) -> bool:
    """Whether the weights came from a file that open_clip knows no tag of, for an architecture published both ways."""
    tags = open_clip.list_pretrained_tags_by_model(base.name)
    if base.pretrained is None or base.pretrained in tags:
        return False
    wanted = {bool((open_clip.get_pretrained_cfg(base.name, tag) or {}).get("quick_gelu", False)) for tag in tags}
    return len(wanted) == 2


def tell_of_activation(material: Material, on_event: OnEvent) -> None:
    """Say which activation was taken for a file that does not tell, and warn where the other is clearly better."""
    base = material.backbone.base
    if not is_open_question(base):
        return
    taken, other = ("QuickGELU", "GELU") if base.quick_gelu else ("GELU", "QuickGELU")
    name = base.name.removesuffix("-quickgelu") if base.quick_gelu else f"{base.name}-quickgelu"
    images = _some_images(material)
    model = material.backbone.model
    right = _right(model, material, images)
    right_other = _right(with_other_activation(model), material, images)
    shares = f"{right.float().mean():.1%} with {taken}, {right_other.float().mean():.1%} with {other}"
    counts = f"zero-shot on {len(right)} val images: {shares}"
    lead = f"{base.name} was published with GELU and with QuickGELU, and a file does not tell which: {taken} is taken"
    if is_clearly_better(right_other, right):
        on_event(Note(f"{lead}, and the other is clearly better ({counts}): take `--set model.name={name}`", True))
    else:
        on_event(Note(f"{lead} ({counts}); OpenAI's and MetaCLIP's weights have QuickGELU (model.name={name})"))


def is_clearly_better(other: torch.Tensor, taken: torch.Tensor) -> bool:
    """Whether `other` (N,) bool is right more often than `taken` on the same images: McNemar's exact test."""
    lost, won = int((taken & ~other).sum()), int((other & ~taken).sum())
    return won > lost and bool(binomtest(lost, won + lost, alternative="less").pvalue < _CLEAR)


def _some_images(material: Material) -> ImageDataset:
    """Up to 128 images of val, evenly spread over its classes."""
    rows = material.val_set.rows
    step = max(1, len(rows) // _MOST_IMAGES)
    return ImageDataset(material.manifest, rows[::step][:_MOST_IMAGES], material.backbone.preprocess)


def with_other_activation(model: nn.Module) -> nn.Module:
    """A copy with GELU in place of QuickGELU, or the reverse."""
    other = copy.deepcopy(model)
    for module in list(other.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "QuickGELU":
                setattr(module, name, nn.GELU())
            elif type(child) is nn.GELU:
                setattr(module, name, QuickGELU())
    return other


def _right(model: nn.Module, material: Material, images: ImageDataset) -> torch.Tensor:
    """(N,) bool: whether zero-shot finds the class of each image."""
    names = [info.readable for info in material.manifest.classes]
    weight = zero_shot_head(model, material.backbone.tokenizer, names, material.templates)
    classifier = Classifier(model, CosineHead(weight.cpu(), 100.0)).to(material.precision.device)
    features = split_features(classifier, images, material.inference)
    predicted = (features @ weight.cpu().T).argmax(dim=1)
    return predicted == torch.from_numpy(images.labels)
