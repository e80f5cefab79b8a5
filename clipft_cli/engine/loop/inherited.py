"""The head that a run takes over from the run it starts from: classes by name, new ones from another head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config.model import HeadName
from ..checkpoint.parent import Parent
from ..model.classifier import CosineHead, Head, LinearHead


def inherited_head(
    parent: Parent, names: Sequence[str], other: Head, wish: HeadName | Literal["auto"]
) -> tuple[Head, int] | None:
    """The parent's head for the classes `names`, and how many of them it knows; the rest are as `other` has them.

    None where it knows none, or its head cannot be of the kind wished for.
    """
    index = {info.name: place for place, info in enumerate(parent.card.classes)}
    known = [index.get(name) for name in names]
    n_known = sum(place is not None for place in known)
    stays_cosine = isinstance(parent.head, CosineHead) and (n_known == len(names) or isinstance(other, CosineHead))
    if n_known == 0 or (wish == "cosine" and not stays_cosine):
        return None
    (ours, our_bias), (theirs, their_bias) = _rows(parent.head), _rows(other)
    pick = [(ours[place], our_bias[place]) if place is not None else None for place in known]
    rows = [found or (theirs[i], their_bias[i]) for i, found in enumerate(pick)]
    weight, bias = torch.stack([row for row, _ in rows]), torch.stack([value for _, value in rows])
    scale = float(parent.head.scale)
    if stays_cosine and wish != "linear":
        return CosineHead(F.normalize(weight, dim=-1), scale), n_known
    return LinearHead(weight / scale, bias / scale, scale), n_known


@torch.no_grad()
def _rows(head: Head) -> tuple[Tensor, Tensor]:
    """(C, D) and (C,) that give the head's logits of unit features."""
    if isinstance(head, CosineHead):
        return head.scale * F.normalize(head.weight, dim=-1), torch.zeros(len(head.weight))
    return head.scale * head.weight, head.scale * head.bias
