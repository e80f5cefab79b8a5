"""What lies below the lowest layer that trains, computed once a stage and read afterwards."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..events import Note, OnEvent
from ..images.dataset import ImageDataset, View
from ..images.loader import Mover
from ..machine.signals import StopRequest
from ..model.classifier import Classifier
from ..model.inference import Inference, hidden_logits, split_hidden, split_logits
from ..model.precision import Precision
from .prefix_plan import Keeping, Stage, view_of
from .prefix_store import AnyBatch, HiddenBatch, HiddenKind, reserve


@dataclass
class _Saved:
    """What the cache of a stage has been good for, in this process."""

    filled: int = 0
    read: int = 0
    seconds: float = 0.0


@dataclass
class PrefixCache:
    """Batches and val logits of a run, from pixels or from what is kept of the frozen part.

    What is kept is a function of its key: the weights (frozen, so the base model's), the images, their transform and
    view (one of `views`, where training takes fixed ones in turn), the number format and the cut. It is filled in the
    order of the split, whatever batches are asked for, so that a resumed run reads the same numbers.
    """

    classifier: Classifier
    views: int | None
    plan: tuple[Keeping, ...]
    datasets: Mapping[str, ImageDataset]
    inference: Inference
    folder: Path
    digests: Mapping[str, str]
    _held: dict[str, Tensor] = field(default_factory=dict)
    _saved: _Saved = field(default_factory=_Saved)
    _stage: Stage | None = None

    @property
    def lowest_cut(self) -> int:
        """Nothing below it ever trains: what was frozen stays so, or thaws."""
        return self.plan[-1].stage.cut

    def stage_of(self, epoch: int) -> Stage:
        """The stage that `epoch` is in."""
        return self._keeping(epoch).stage

    def train_batches(
        self,
        batches: Sequence[np.ndarray],
        epoch: int,
        on_event: OnEvent,
        stop: StopRequest,
    ) -> Iterator[AnyBatch]:
        """One batch for each array of indexes, read where it is kept, which may first have to be filled."""
        keeping = self._enter(epoch, on_event)
        train_set = self.datasets["train"]
        view = view_of(self.views, keeping.stage, epoch)
        if not keeping.views:
            return self.inference.loader.batches(batches, View(train_set, view), train_set.labels, self._device)
        view = view if view in keeping.views else keeping.views[0]
        hidden = self._hidden("train", keeping, view, self.inference.watched(on_event, stop))
        self._saved.read += len(train_set)
        return self._read(batches, hidden, train_set.labels)

    def val_logits(self, epoch: int, on_event: OnEvent | None = None, stop: StopRequest | None = None) -> Tensor:
        """(N, C) float32 logits of val as the classifier is now, with the frozen part of `epoch`."""
        inference = self.inference.watched(on_event, stop)
        keeping = self._enter(epoch, inference.on_event)
        val_set = self.datasets["val"]
        if not keeping.keeps_val:
            return split_logits(self.classifier, val_set, inference)
        hidden = self._hidden("val", keeping, None, inference)
        self._saved.read += len(val_set)
        return hidden_logits(self.classifier, hidden, keeping.stage.cut, inference)

    def close(self, on_event: OnEvent) -> None:
        """Give back the room, and say what was saved."""
        saved, stage = self._saved, self._stage
        if stage is not None and saved.read > saved.filled:
            not_again = saved.read - saved.filled
            blocks = min(stage.cut, self.classifier.feature_cut - 1)
            part = f"{not_again:,} images x {blocks} blocks" if blocks else f"{not_again:,} images"
            on_event(
                Note(
                    f"frozen part, epochs {stage.first + 1} to {stage.stop}: computed for {saved.filled:,} images in"
                    f" {saved.seconds:.1f} s, read for {saved.read:,}; {part} not computed again, about"
                    f" {saved.seconds / max(1, saved.filled) * not_again:.1f} s saved"
                )
            )
        self._held.clear()
        self._saved = _Saved()
        self._stage = None

    def _keeping(self, epoch: int) -> Keeping:
        return next(keeping for keeping in reversed(self.plan) if keeping.stage.first <= epoch)

    def _enter(self, epoch: int, on_event: OnEvent) -> Keeping:
        """Drop what belongs to another stage."""
        keeping = self._keeping(epoch)
        if keeping.stage != self._stage:
            self.close(on_event)
            self._stage = keeping.stage
        return keeping

    @property
    def _device(self) -> torch.device:
        return self.inference.precision.device

    def _hidden(self, split: str, keeping: Keeping, view: int | None, inference: Inference) -> Tensor:
        key = self.key(split, keeping.stage.cut, view)
        if key not in self._held:
            self._held[key] = self._fill(split, keeping.stage.cut, view, inference)
        return self._held[key]

    def key(self, split: str, cut: int, view: int | None) -> str:
        """Digest of all that decides the outputs of a split below `cut`; `view` None: the validation transform."""
        dataset = self.datasets[split]
        augmentation = dataset.augmentation if view is not None else None
        parts = {
            **self.digests,
            "split": split,
            "rows": [row.sha256 for row in dataset.rows],
            "transform": dataset.preprocess.to_json(),
            "augmentation": [augmentation.key, dataset.seed, view] if augmentation else None,
            "precision": [self.inference.precision.name, self._device.type, self.inference.batch_size],
            "cut": cut,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _fill(self, split: str, cut: int, view: int | None, inference: Inference) -> Tensor:
        began = time.perf_counter()
        dataset = self.datasets[split]
        hidden: Tensor | None = None
        done = 0
        for output in split_hidden(self.classifier, cut, dataset, inference, view=view):
            if hidden is None:
                hidden = reserve(len(dataset), HiddenKind(tuple(output.shape[1:]), output.dtype), self.folder)
            hidden[done : done + len(output)] = output
            done += len(output)
        assert hidden is not None  # no split is empty
        self._saved.filled += len(dataset)
        self._saved.seconds += time.perf_counter() - began
        return hidden

    def _read(self, batches: Sequence[np.ndarray], hidden: Tensor, labels: np.ndarray) -> Iterator[HiddenBatch]:
        mover = Mover(self._device)
        targets = torch.from_numpy(labels)
        for batch in batches:
            rows = torch.from_numpy(np.asarray(batch))
            yield HiddenBatch(mover(hidden[rows]), mover(targets[rows]), batch)


def kind_of(classifier: Classifier, cut: int, precision: Precision, size: tuple[int, int]) -> HiddenKind:
    """What one image of `size` (height, width) gives below `cut`."""
    image = torch.zeros(1, 3, *size, device=precision.device)
    was_training = classifier.training
    classifier.eval()
    with torch.inference_mode(), precision.autocast():
        output = classifier.below(image, cut)
    classifier.train(was_training)
    return HiddenKind(tuple(output.shape[1:]), output.dtype)
