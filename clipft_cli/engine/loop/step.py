"""One update: forward, backward, clip, step. One path for every precision and accumulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import is_out_of_memory
from ..frozen.prefix_store import AnyBatch, HiddenBatch
from ..images.transforms import Preprocess
from ..machine.memory import halved_until_it_fits, out_of_memory_error
from ..model.classifier import Classifier
from ..model.precision import Precision
from ..model.prompts import sample_prompts
from .contrastive import backward_in_pieces, contrastive_losses


@dataclass(frozen=True)
class Update:
    """What one update did. `loss_sum` is over its images; `is_applied` is False where it was skipped."""

    loss_sum: float
    n_images: int
    grad_norm: float
    is_applied: bool
    is_finite: bool


@dataclass
class Stepper:
    """What an update needs; `optimizer` is a fused one. `micro_batch` may shrink while a run goes on; the
    effective batch never does. No gradient is computed below `cut`, the place under the lowest layer that trains.
    """

    classifier: Classifier
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    precision: Precision
    preprocess: Preprocess
    micro_batch: int
    max_grad_norm: float | None
    label_smoothing: float
    class_weights: Tensor | None  # (C,), mean 1 over the training images
    cut: int = 0
    prompts: Tensor | None = None  # (C, P, N) tokens of the class prompts: the objective is contrastive

    def freeze_below(self, cut: int) -> None:
        """From now on nothing below `cut` trains."""
        self.cut = cut
        self.classifier.freeze_below(cut)

    def update(self, batches: Sequence[AnyBatch], learning_rates: Sequence[float], seed: int | None = None) -> Update:
        """One optimizer step on the mean loss over all images of `batches`.

        Halves the micro-batch and starts the update again where memory runs out. What is random in it (dropout)
        is a function of `seed`, so that nothing needs saving for a resume.
        """
        for group, rate in zip(self.optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = rate

        def losses_of(micro_batch: int) -> list[Tensor]:
            self.micro_batch = micro_batch
            if seed is not None:
                torch.manual_seed(seed)
            return self._accumulate(batches, seed or 0)

        losses, _ = halved_until_it_fits(losses_of, self.micro_batch)
        try:
            return self._apply(losses, sum(len(batch.labels) for batch in batches))
        except Exception as error:
            if is_out_of_memory(error):  # half-applied: going on from here would not be the same run
                raise out_of_memory_error("the optimizer's state does not fit beside the model") from error
            raise

    def _accumulate(self, batches: Sequence[AnyBatch], seed: int = 0) -> list[Tensor]:
        """Gradients of the mean loss over all images; returns the sum of the losses of each micro-batch."""
        if not self.classifier.training:
            self.classifier.train()
        self.optimizer.zero_grad(set_to_none=True)
        n_images = sum(len(batch.labels) for batch in batches)
        if self.prompts is not None:
            return [self._contrast(batches, self.prompts, seed)]
        losses = []
        for batch in batches:
            for part in self._parts(batch):
                with self.precision.autocast():
                    logits = self.classifier(self._below(batch, part), self.cut)  # (B, C) float32
                loss = self._loss(logits, batch.labels[part])
                self.scaler.scale(loss / n_images).backward()
                losses.append(loss.detach())
        return losses

    def _parts(self, batch: AnyBatch) -> list[slice]:
        n = len(batch.labels)
        return [slice(start, start + self.micro_batch) for start in range(0, n, self.micro_batch)]

    def _contrast(self, batches: Sequence[AnyBatch], prompts: Tensor, seed: int) -> Tensor:
        """`_accumulate` for the contrastive objective, which spans the images of the whole update."""
        labels = torch.cat([batch.labels for batch in batches])
        classes, targets = labels.unique(return_inverse=True)
        tokens = sample_prompts(prompts, classes.cpu(), seed).to(labels.device)  # (K, N)
        images = [partial(self._image_features, batch, part) for batch in batches for part in self._parts(batch)]
        texts = [partial(self._text_features, part) for part in tokens.split(self.micro_batch)]

        def loss_of(features: list[Tensor]) -> Tensor:
            losses = contrastive_losses(
                torch.cat(features[: len(images)]),
                torch.cat(features[len(images) :]),
                targets,
                self.classifier.head.scale,
                self.label_smoothing,
            )
            return losses.sum() if self.class_weights is None else losses @ self.class_weights[labels]

        return backward_in_pieces([*images, *texts], loss_of, lambda loss: self.scaler.scale(loss / len(labels)), seed)

    def _image_features(self, batch: AnyBatch, part: slice) -> Tensor:
        with self.precision.autocast():
            return self.classifier.features_above(self._below(batch, part), self.cut)

    def _text_features(self, tokens: Tensor) -> Tensor:
        with self.precision.autocast():
            return self.classifier.text_features(tokens)

    def _below(self, batch: AnyBatch, part: slice) -> Tensor:
        """What reaches the lowest layer that trains: read where it is kept, else computed, without a graph."""
        if isinstance(batch, HiddenBatch):
            return batch.hidden[part]
        with torch.no_grad():
            return self.classifier.below(self.preprocess.normalise(batch.pixels[part]), self.cut)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over images of class weight times smoothed cross-entropy.

        `F.cross_entropy(weight=...)` would weigh the smoothing's share of each class by that class: a frequent image
        would be told that it is a rare one.
        """
        cross_entropy = partial(F.cross_entropy, logits.float(), labels, label_smoothing=self.label_smoothing)
        if self.class_weights is None:
            return cross_entropy(reduction="sum")
        return cross_entropy(reduction="none") @ self.class_weights[labels]  # (B,) @ (B,)

    def _apply(self, losses: Sequence[Tensor], n_images: int) -> Update:
        """Clip and step. The fused optimizer divides the gradients, or skips the step, in its own pass over them.

        Loss and norm are read once, when the step is on its way.
        """
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients, foreach=True)
        measured = torch.stack([*losses, norm.float()])
        optimizer: Any = self.optimizer
        optimizer.found_inf = (~torch.isfinite(measured).all()).float()
        # as clip_grad_norm_: by max_grad_norm / (norm + 1e-6) where that is less than 1
        limit = self.max_grad_norm
        optimizer.grad_scale = None if limit is None else ((measured[-1] + 1e-6) / limit).clamp_(min=1.0)
        optimizer.step()
        *each_loss, grad_norm = measured.tolist()
        loss_sum = math.fsum(each_loss)
        is_finite = math.isfinite(loss_sum) and math.isfinite(grad_norm)
        self.scaler.update(None if is_finite else self._lower_scale())
        # a scaler that looks for its scale overflows by design: no fault unless the loss itself is not finite
        is_fault = not is_finite and not (self.scaler.is_enabled() and math.isfinite(loss_sum))
        self.optimizer.zero_grad(set_to_none=True)
        return Update(loss_sum, n_images, grad_norm, is_applied=is_finite, is_finite=not is_fault)

    def _lower_scale(self) -> float | None:
        return self.scaler.get_scale() / 2 if self.scaler.is_enabled() else None


def set_trainable(parameters: dict[str, nn.Parameter], names: frozenset[str]) -> None:
    """Exactly `names` get gradients from now on; what is frozen loses any gradient it had."""
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in names)
        if name not in names:
            parameter.grad = None
