"""The contrastive objective: images against the prompts of their classes, over a whole update.

Sources: Goyal et al. 2023 (FLYP: fine-tune with the loss of pretraining); Khosla et al. 2020 (several positives,
L_out); Gao et al. 2021 (gradients of a batch-wide loss, piece by piece).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Forward = Callable[[], Tensor]


def contrastive_losses(
    images: Tensor, texts: Tensor, targets: Tensor, scale: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """(N,) losses of image features (N, D) against the prompts (K, D) of the K classes among them.

    The mean of two cross-entropies on scale * cosine: the image's class among the K prompts (smoothed), and the image
    among all N for its class's prompt. A class has one prompt, so no other text is right for its images; the images
    of a class share the second target in equal parts. `targets` (N,) are rows of `texts`.
    """
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T  # (N, K)
    to_text = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    of_class = logits.gather(1, targets[:, None])[:, 0]  # (N,)
    to_image = logits.logsumexp(dim=0)[targets] - of_class
    return (to_text + to_image) / 2


def backward_in_pieces(
    forwards: Sequence[Forward],
    loss_of: Callable[[list[Tensor]], Tensor],
    scaled: Callable[[Tensor], Tensor],
    seed: int,
) -> Tensor:
    """Gradients of a loss that needs the outputs of all `forwards` at once, with the graph of one in memory.

    Outputs are computed without graphs, then the loss and its gradient on them, then each output again with its
    graph; two pieces keep theirs. What is random in a piece is a function of `seed` and its place, so that both
    passes draw the same. `scaled(loss)` is what is differentiated; returns the loss.
    """
    keeps_graphs = len(forwards) <= 2
    with torch.set_grad_enabled(keeps_graphs):
        outputs = [_seeded(forward, seed, i) for i, forward in enumerate(forwards)]
    leaves = [output.detach().requires_grad_() for output in outputs]
    loss = loss_of(leaves)
    gradients = torch.autograd.grad(scaled(loss), leaves)
    for i, (forward, gradient) in enumerate(zip(forwards, gradients, strict=True)):
        output = outputs[i] if keeps_graphs else _seeded(forward, seed, i)
        if output.requires_grad:  # else the whole of its tower is frozen
            output.backward(gradient)
    return loss.detach()


def _seeded(forward: Forward, seed: int, place: int) -> Tensor:
    torch.manual_seed(seed * 1009 + place)
    return forward()
