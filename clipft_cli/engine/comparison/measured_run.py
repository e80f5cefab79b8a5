"""One run measured on the images that all are measured on: its scores, and what is left of its zero-shot skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...config.compare import CompareConfig
from ...errors import CheckpointError, ModelError
from ..checkpoint.load import Loaded, load_base, load_classifier
from ..checkpoint.zero_shot import text_head, tuned_text_head
from ..events import OnEvent
from ..images.loader import Loader
from ..images.measured_split import MeasuredSplit
from ..labels.templates import choose_templates
from ..manifest import Manifest, Row
from ..methods import METHODS
from ..methods.base import MethodSettings
from ..metrics.intervals import Interval, wilson
from ..model.classifier import Head
from ..model.inference import Inference, split_logits, usual_batch
from ..model.nf4 import n_weights
from ..model.precision import Precision, precision_of
from .finished_run import FinishedRun


@dataclass(frozen=True)
class Answer:
    """What one run says of every image: `logits` (N, C) in manifest order, and its own temperature."""

    run: FinishedRun
    logits: np.ndarray
    temperature: float
    trainable: int
    total: int
    artefact_bytes: int
    retention: Interval | None


@dataclass
class Measurer:
    """Measures runs one after another on the same images, each in the precision it was trained in.

    Pixels of the last transform are kept between them.
    """

    config: CompareConfig
    manifest: Manifest
    rows: Sequence[Row]
    precision: Precision
    loader: Loader
    other: Manifest | None = None
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)
    precisions: set[str] = field(default_factory=set)
    _splits: dict[tuple[str, str], MeasuredSplit] = field(default_factory=dict)
    _heads: dict[tuple[str, str | None, str], Head] = field(default_factory=dict)
    _pretrained: dict[str, Interval] = field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        """Images in one batch."""
        return self.config.compare.batch_size or usual_batch(self.precision.device)

    def answer(self, run: FinishedRun, on_event: OnEvent) -> Answer:
        """Measure one run. Raises CheckpointError, ModelError or DataError."""
        loaded = load_classifier(run.checkpoint, self.precision.device)
        if [info.name for info in loaded.classes] != [info.name for info in self.manifest.classes]:
            raise CheckpointError(f"{run.path}: its classes are not those of {self.manifest.root}, in this order")
        images = self._images(loaded, "test", self.manifest, self.rows)
        logits = self._logits(loaded, images, f"measuring {run.path.name}", on_event)
        images.refuse_too_many()
        self.bad |= {index: (bad.path, bad.reason) for index, bad in images.bad.items()}
        return Answer(
            run,
            logits,
            loaded.temperature,
            *_parameters(run, loaded),
            sum(file.stat().st_size for file in run.checkpoint.iterdir() if file.is_file()),
            self._retention(run, loaded, on_event) if self.other is not None else None,
        )

    def _images(self, loaded: Loaded, what: str, manifest: Manifest, rows: Sequence[Row]) -> MeasuredSplit:
        """The rows as this model reads them: models that read alike share what is decoded."""
        key = what, repr(loaded.preprocess)
        if key not in self._splits:
            data = self.config.data
            self._splits[key] = MeasuredSplit(
                manifest, rows, loaded.preprocess, cache_gb=data.image_cache_gb, max_bad_share=data.max_bad_share
            )
        return self._splits[key]

    def _logits(self, loaded: Loaded, images: MeasuredSplit, label: str, on_event: OnEvent) -> np.ndarray:
        precision = precision_of(self.config.hardware.mixed_precision, loaded.card.precision, self.precision.device)
        self.precisions.add(precision.name)
        inference = Inference(self.loader, precision, self.batch_size, on_event)
        logits = split_logits(loaded.classifier, images, inference, label).numpy()
        if not np.isfinite(np.delete(logits, list(images.bad), axis=0)).all():
            raise ModelError(
                f"{label}: the model gives scores that are not finite",
                hint="try `--set hardware.mixed_precision=no`; if that does not help, the weights are damaged",
            )
        return logits

    def _retention(self, run: FinishedRun, loaded: Loaded, on_event: OnEvent) -> Interval:
        """Accuracy of this image tower, under a text head, on the other data set's classes."""
        assert self.other is not None
        is_untouched = not METHODS[loaded.card.method].changes_model(
            loaded.classifier, MethodSettings(loaded.card.settings)
        )
        base = loaded.card.base.digest
        if is_untouched and base in self._pretrained:
            return self._pretrained[base]
        rows = self.other.split("test")
        loaded.classifier.head = self._text_head(run, loaded).to(self.precision.device)
        label = f"retention of {run.path.name}"
        images = self._images(loaded, "retention", self.other, rows)
        logits = self._logits(loaded, images, label, on_event)
        images.refuse_too_many()
        kept = np.array([index for index in range(len(rows)) if index not in images.bad])
        is_right = logits.argmax(axis=1)[kept] == images.labels[kept]
        share = wilson(int(is_right.sum()), len(kept))
        if is_untouched:
            self._pretrained[base] = share
        return share

    def _text_head(self, run: FinishedRun, loaded: Loaded) -> Head:
        assert self.other is not None
        base = loaded.card.base
        is_tuned = loaded.card.objective == "contrastive"
        key = (base.name, base.digest, str(run.checkpoint) if is_tuned else "")
        if key not in self._heads:
            backbone = load_base(run.checkpoint, loaded.card)
            templates = choose_templates(self.config.data.templates, base.name)
            self._heads[key] = (
                tuned_text_head(run.checkpoint, loaded.card, backbone, self.other.classes, templates)
                if is_tuned
                else text_head(backbone, self.other.classes, templates)
            )
        return self._heads[key]


def _parameters(run: FinishedRun, loaded: Loaded) -> tuple[int, int]:
    """Parameters that trained, and all: as the run recorded them, else by what its method may change."""
    total = n_weights(loaded.classifier)
    recorded: Mapping[str, object] = run.summary
    trained = recorded.get("trainable_parameters")
    if isinstance(trained, int):
        return trained, total
    sizes = {name: parameter.numel() for name, parameter in loaded.classifier.named_parameters()}
    layers = METHODS[loaded.card.method].layers(loaded.classifier, MethodSettings(loaded.card.settings))
    return sum(sizes[name] for layer in layers for name in layer.parameters), total
