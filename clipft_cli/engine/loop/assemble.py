"""The parts of a run, wired: what is loaded once, and what is built for one method."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ...config.train import TrainConfig
from ...errors import DataError, ModelError
from ..checkpoint.card import Card, data_facts
from ..checkpoint.parent import Parent, open_parent, parent_of
from ..frozen.prefix_cache import PrefixCache, kind_of
from ..frozen.prefix_plan import plan_keeping, stages_of
from ..images.augmentations import augmentation_of
from ..images.dataset import ImageDataset
from ..images.loader import Loader
from ..images.subset import draw_subset
from ..labels.templates import choose_templates
from ..machine.hardware import worker_count
from ..manifest import CLASSES_FILE, Manifest
from ..methods import METHODS
from ..methods.base import MethodSettings
from ..model.backbone import Backbone, load_backbone
from ..model.classifier import Classifier, let_go_of_text, require_text_tower
from ..model.cuda import wants_channels_last, wants_compile
from ..model.layers import Layer, head_layer, image_layers, text_layers
from ..model.nf4 import n_weights, packed_gib
from ..model.precision import Precision, set_up
from ..model.prompts import prompt_tokens
from ..model.vit import tune_allocator
from ..optim import recipe
from ..optim.build import LearningRates, build_optimizer
from ..optim.ema import EMA
from ..optim.groups import build_groups
from ..optim.schedule import warmup_steps
from ..optim.unfreeze import UnfreezePlan, plan_unfreezing
from ..run_dir import RunDir
from .inputs import Inputs, model_files, settings_of, unused_settings, words_of
from .run import Run
from .start import Start
from .step import Stepper


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
    place = parent_of(config.model)
    parent, backbone = open_parent(place, kept) if place is not None else (None, load_backbone(config.model))
    backbone = replace(backbone, preprocess=backbone.preprocess.resizing(data.resize))
    METHODS[config.method].prepare(backbone.model, MethodSettings.of(config))
    unused = unused_settings(config)
    config, rules = recipe.resolve(config, len(train_rows), _tower_size(backbone))
    # sums in another number of threads are added in another order: a resume keeps the number, so it is written down
    hardware = config.hardware.model_copy(update={"num_threads": torch.get_num_threads()})
    config = config.model_copy(update={"hardware": hardware})
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


def assemble(material: Material, start: Start, run_dir: RunDir) -> Run:
    """The run of the configured method from `start`: model on its device, groups, schedule, optimizer."""
    config, precision = material.config, material.precision
    method = METHODS[config.method]
    material.backbone.model.requires_grad_(False)
    if precision.device.type == "cpu":
        tune_allocator()
    settings = MethodSettings.of(config)
    classifier = method.attach(material.backbone.model, start.head, settings).to(precision.device)
    layers = method.layers(classifier, settings)
    if not (method.writes_whole_model or config.trains_text or _is_beyond_images(layers)):
        let_go_of_text(classifier.clip)  # the head is made, and no checkpoint of this method holds it
    if wants_channels_last(config.hardware, precision.device, classifier.clip.visual):
        classifier.clip.visual.to(memory_format=torch.channels_last)  # type: ignore[union-attr, call-overload]
    everything = dict(classifier.named_parameters())
    parameters = {name: everything[name] for layer in layers for name in layer.parameters}
    training = config.training
    plan = plan_unfreezing(training.progressive_unfreezing, layers, training.epochs)
    parameters = {
        name: parameters[name]
        for layer, first in zip(layers, plan.first_epoch, strict=True)
        if first is not None
        for name in layer.parameters
    }
    if not parameters:
        raise ModelError(f"method {config.method}: nothing is left to train", hint="unfreeze at least one layer")
    groups = tuple(
        group for group in build_groups(everything, layers, training) if plan.first_epoch[group.layer] is not None
    )
    effective = config.data.batch_size * training.gradient_accumulation_steps
    steps_per_epoch = math.ceil(len(material.train_set) / effective)
    total_steps = steps_per_epoch * training.epochs
    if wants_compile(config.hardware, precision.device, total_steps):
        classifier.compile()
    rates = LearningRates(
        groups, plan, total_steps, steps_per_epoch, warmup_steps(total_steps, training.warmup_ratio), training
    )
    stepper = Stepper(
        classifier=classifier,
        optimizer=build_optimizer(groups, parameters),
        scaler=precision.scaler(),
        precision=precision,
        preprocess=material.backbone.preprocess,
        micro_batch=config.data.batch_size,
        max_grad_norm=training.max_grad_norm,
        label_smoothing=training.label_smoothing,
        class_weights=_class_weights(material),
        prompts=_prompts(material) if config.trains_text else None,
    )
    return Run(
        config=config,
        run_dir=run_dir,
        classifier=classifier,
        layers=layers,
        parameters=parameters,
        plan=plan,
        rates=rates,
        stepper=stepper,
        ema=EMA(parameters, training.ema.horizon_ratio * total_steps) if training.ema.enabled else None,
        train_set=material.train_set,
        val_set=material.val_set,
        prefix=_prefix_cache(material, classifier, layers, plan, run_dir),
        loader=material.loader,
        precision=precision,
        card=card_of(material, start),
        start=start.metrics,
        start_kind=start.kind,
    )


def _is_beyond_images(layers: Iterable[Layer]) -> bool:
    """Whether weights of the pretrained model are among these that the image tower does not have."""
    names = [name for layer in layers for name in layer.parameters]
    return any(name.startswith("clip.") and not name.startswith("clip.visual.") for name in names)


def _prefix_cache(
    material: Material, classifier: Classifier, layers: tuple[Layer, ...], plan: UnfreezePlan, run_dir: RunDir
) -> PrefixCache:
    """The cache of what is frozen, with what it will keep of each stage decided."""
    config, precision = material.config, material.precision
    n_epochs = config.training.epochs
    n_mixes = config.checkpoint.keep_best - 1 if config.training.soup.enabled else 0
    wise_ft = config.training.wise_ft
    after_training = n_mixes + len({0.0, 1.0, *(wise_ft.alphas if wise_ft.enabled else ())})  # as `finish` measures
    keepings = []
    for stage in stages_of(classifier, layers, plan, n_epochs):
        n_val_reads = stage.n_epochs + (after_training if stage.stop == n_epochs else 0)
        n_bytes = kind_of(classifier, stage.cut, precision, material.backbone.preprocess.size).n_bytes
        n_train, n_val = len(material.train_set), len(material.val_set)
        keepings.append(
            plan_keeping(
                config.cache,
                stage,
                n_train,
                n_val,
                is_augmented=material.train_set.augmentation is not None,
                image_bytes=n_bytes,
                n_val_reads=n_val_reads,
            )
        )
    return PrefixCache(
        classifier=classifier,
        views=config.cache.views,
        plan=tuple(keepings),
        datasets={"train": material.train_set, "val": material.val_set},
        loader=material.loader,
        precision=precision,
        eval_batch=material.eval_batch,
        folder=run_dir.path,
        digests=material.digests,
    )


def check_layers(material: Material) -> None:
    """Before anything is measured or written: raises ConfigError for layers the schedule names and no tower has,
    ModelError for a text tower that cannot be trained.
    """
    config = material.config
    if config.trains_text:
        require_text_tower(material.backbone.model)
    if METHODS[config.method].trains_by_epochs and config.training.progressive_unfreezing.enabled:
        visual: Any = material.backbone.model.visual
        head = text_layers(material.backbone.model) if config.trains_text else (head_layer(()),)
        layers = (*image_layers(visual), *head)
        plan_unfreezing(config.training.progressive_unfreezing, layers, config.training.epochs)


def card_of(material: Material, start: Start) -> Card:
    """What every checkpoint of the run says of itself."""
    config = material.config
    return Card(
        method=config.method,
        base=material.backbone.base,
        preprocess=material.backbone.preprocess,
        classes=material.manifest.classes,
        templates=material.templates,
        head=start.head.kind,
        settings=MethodSettings.of(config).own,
        data=data_facts(material.manifest),
        objective="contrastive" if config.trains_text else "cross_entropy",
        precision=material.precision.name,
    )


def _prompts(material: Material) -> torch.Tensor:
    names = [cls.readable for cls in material.manifest.classes]
    return prompt_tokens(material.backbone.tokenizer, names, material.templates)


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


def _class_weights(material: Material) -> torch.Tensor | None:
    """(C,) weights that are inverse to class frequency, with mean 1 over the training images."""
    if material.config.data.class_balance != "loss":
        return None
    labels = torch.from_numpy(material.train_set.labels)
    n_classes = len(material.manifest.classes)
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (len(labels) / (n_classes * counts.float())).to(material.precision.device)
