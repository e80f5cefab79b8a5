"""Class names into class vectors: the zero-shot head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn


def zero_shot_head(
    model: nn.Module,
    tokenizer: Callable[[list[str]], torch.Tensor],
    class_names: Sequence[str],
    templates: Sequence[str],
) -> torch.Tensor:
    """One unit vector per class: the mean of its embedded prompts.

    Returns (C, D) float32 on the model's device, rows of length 1, in the order of `class_names`. A prompt
    longer than the tower's context is cut by the tokenizer.
    Source: Radford et al. 2021, section 3.1.4 (prompt ensembling).
    """
    device = next(model.parameters()).device
    rows = []
    with torch.inference_mode():
        for start in range(0, len(class_names), 64):
            names = class_names[start : start + 64]
            texts = [template.format(name) for name in names for template in templates]
            embedded = F.normalize(model.encode_text(tokenizer(texts).to(device)).float(), dim=-1)  # type: ignore[operator]
            means = embedded.view(len(names), len(templates), -1).mean(dim=1)  # (c, D)
            rows.append(F.normalize(means, dim=-1))
    return torch.cat(rows).clone()
