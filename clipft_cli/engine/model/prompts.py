"""Class names into class vectors: the zero-shot head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tokenizer = Callable[[list[str]], Tensor]

TEXTS_AT_ONCE = 448
"""Prompts in one pass of the text tower."""


def zero_shot_head(
    model: nn.Module, tokenizer: Tokenizer, class_names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """One unit vector per class: the mean of its embedded prompts.

    Returns (C, D) float32 on the model's device, rows of length 1, in the order of `class_names`. A prompt
    longer than the tower's context is cut by the tokenizer.
    """
    tokens = prompt_tokens(tokenizer, class_names, templates)
    return class_vectors(model.encode_text, tokens.to(next(model.parameters()).device))  # type: ignore[arg-type]


def prompt_tokens(tokenizer: Tokenizer, class_names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Tokens (C, P, N) of every class's name in every template."""
    rows = [tokenizer([template.format(name) for template in templates]) for name in class_names]
    return torch.stack(rows)


def class_vectors(encode_text: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """(C, D) float32, rows of length 1, of prompts (C, P, N): the mean of what `encode_text` makes of them.

    Source: Radford et al. 2021, section 3.1.4 (prompt ensembling).
    """
    n_prompts = tokens.shape[1]
    rows = []
    with torch.inference_mode():
        for some in tokens.split(max(1, TEXTS_AT_ONCE // n_prompts)):
            embedded = F.normalize(encode_text(some.flatten(0, 1)).float(), dim=-1)
            means = embedded.view(len(some), n_prompts, -1).mean(dim=1)  # (c, D)
            rows.append(F.normalize(means, dim=-1))
    return torch.cat(rows).clone()


def sample_prompts(tokens: Tensor, classes: Tensor, seed: int) -> Tensor:
    """One prompt (K, N) for each of `classes` (K,), out of (C, P, N); a function of the class and `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(tokens.shape[1], (len(tokens),), generator=generator)
    return tokens[classes, chosen[classes]]
