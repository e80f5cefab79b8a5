"""What a run is made from, before any method: device, images, pretrained model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ...config.train import TrainConfig
from ...errors import DataError
from ..checkpoint.parent import Parent, open_pretrained
from ..images.augmentations import augmentation_of
from ..images.dataset import ImageDataset
from ..images.loader import Loader
from ..images.subset import draw_subset
from ..labels.templates import choose_templates
from ..machine.hardware import worker_count
from ..manifest import CLASSES_FILE, Manifest
from ..methods import METHODS
from ..methods.base import MethodSettings
from ..model.backbone import Backbone
from ..model.inference import Inference
from ..model.nf4 import n_weights, packed_gib
from ..model.precision import Precision, set_up
from ..optim import recipe
from .inputs import Inputs, model_files, settings_of, unused_settings, words_of


@dataclass(frozen=True)
class Material:
    """What a run is made from, before any method: device, images, pretrained model.

    In `config` every `auto` is settled; `rules` says by which rule. `unused` are settings that were given
    and that the method has no use for.
    """

    config: TrainConfig
    rules: tuple[str, ...]
    precision: Precision
    manifest: Manifest
    backbone: Backbone
    templates: tuple[str, ...]
    train_set: ImageDataset
    val_set: ImageDataset
    loader: Loader
    parent: Parent | None = None
    unused: tuple[str, ...] = ()

    @property
    def eval_batch(self) -> int:
        """Images in one batch without gradients."""
        return self.config.data.eval_batch_size or 2 * self.config.data.batch_size

    @cached_property
    def settings(self) -> MethodSettings:
        """What its method needs to know."""
        return MethodSettings.of(self.config)

    @property
    def inference(self) -> Inference:
        """How its images are measured."""
        return Inference(self.loader, self.precision, self.eval_batch)

    @cached_property
    def inputs(self) -> Inputs:
        """All that decides the result of the run."""
        return Inputs(
            settings=settings_of(self.config),
            words=words_of(self.manifest),
            templates=self.templates,
            data_set=self.manifest.digest,
            base_model=self.base_digest,
            tower_parameters=_tower_size(self.backbone),
            model_name=self.backbone.base.name,
            model_files=model_files(self.config),
        )

    @property
    def digests(self) -> dict[str, str]:
        """Of the images, and of the weights that are frozen."""
        return {"data set": self.manifest.digest, "base model": self.base_digest}

    @property
    def base_digest(self) -> str:
        """Of the pretrained model as the method starts from it."""
        is_packed = packed_gib(self.backbone.model)[0] > 0
        return self.backbone.base.digest + ("-nf4" if is_packed else "")


def load_material(config: TrainConfig, manifest: Manifest, kept: Path | None = None) -> Material:
    """Model, data and device for `config`; `kept` is where a run has a base model of its own.

    Raises the errors of each, and DataError for what cannot be trained on.
    """
    METHODS[config.method].require()
    data = config.data
    train_rows = draw_subset(manifest.split("train"), fraction=data.fraction, few_shot=data.few_shot, seed=config.seed)
    val_rows = manifest.split("val")
    _check_classes(manifest, {row.label for row in train_rows})
    precision = set_up(config.hardware)
    parent, backbone = open_pretrained(config.model, kept)
    backbone = replace(backbone, preprocess=backbone.preprocess.resizing(data.resize))
    METHODS[config.method].prepare(backbone.model, MethodSettings.of(config))
    unused = unused_settings(config)
    training, rules = recipe.resolve(config.training, config.method, len(train_rows), _tower_size(backbone))
    # sums in another number of threads are added in another order: a resume keeps the number, so it is written down
    hardware = config.hardware.model_copy(update={"num_threads": torch.get_num_threads()})
    config = config.model_copy(update={"training": training, "hardware": hardware})
    train_cache_gb = data.image_cache_gb * len(train_rows) / (len(train_rows) + len(val_rows))
    return Material(
        config=config,
        rules=tuple(rules),
        precision=precision,
        manifest=manifest,
        backbone=backbone,
        templates=parent.card.templates
        if parent is not None and data.templates == "auto"
        else choose_templates(data.templates, backbone.base.name),
        train_set=ImageDataset(
            manifest,
            train_rows,
            backbone.preprocess,
            augmentation=augmentation_of(data),
            seed=config.seed,
            cache_gb=train_cache_gb,
            max_bad_share=data.max_bad_share,
        ),
        val_set=ImageDataset(
            manifest,
            val_rows,
            backbone.preprocess,
            cache_gb=data.image_cache_gb - train_cache_gb,
            max_bad_share=data.max_bad_share,
        ),
        loader=Loader(worker_count(data.num_workers)),
        parent=parent,
        unused=tuple(unused),
    )


def _tower_size(backbone: Backbone) -> int:
    visual: Any = backbone.model.visual
    return n_weights(visual)


def _check_classes(manifest: Manifest, trained: set[int]) -> None:
    if len(manifest.classes) < 2:
        raise DataError(
            f"{manifest.root}: only one class, a classifier needs at least 2",
            hint="add a folder of images for another class and run `clipft prepare` again",
        )
    by_words: dict[str, str] = {}
    for cls in manifest.classes:
        other = by_words.setdefault(cls.readable, cls.name)
        if other != cls.name:
            raise DataError(
                f"{manifest.root / CLASSES_FILE}: '{other}' and '{cls.name}' are both called '{cls.readable}':"
                " their prompts would be the same",
                hint="give each class words of its own",
            )
    missing = [cls.name for i, cls in enumerate(manifest.classes) if i not in trained]
    if missing:
        raise DataError(
            f"{manifest.root}: no training images for {', '.join(missing[:5])}",
            hint="add images, or leave the classes out with `clipft prepare --exclude`",
        )
