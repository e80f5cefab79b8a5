"""The parts of a run, wired for its method."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from ...errors import ModelError
from ..checkpoint.card import Card, data_facts
from ..frozen.prefix_cache import PrefixCache, kind_of
from ..frozen.prefix_plan import plan_keeping, stages_of
from ..methods import METHODS
from ..model.classifier import Classifier, let_go_of_text, require_text_tower
from ..model.cuda import wants_channels_last, wants_compile
from ..model.layers import Layer, head_layer, image_layers, text_layers
from ..model.prompts import prompt_tokens
from ..model.vit import tune_allocator
from ..optim.build import LearningRates, build_optimizer
from ..optim.ema import EMA
from ..optim.groups import build_groups
from ..optim.schedule import warmup_steps
from ..optim.unfreeze import UnfreezePlan, plan_unfreezing
from ..run_dir import RunDir
from .material import Material
from .run import Run
from .start import Start
from .step import Stepper


def assemble(material: Material, start: Start, run_dir: RunDir) -> Run:
    """The run of the configured method from `start`: model on its device, groups, schedule, optimizer."""
    config, precision = material.config, material.precision
    method = METHODS[config.method]
    material.backbone.model.requires_grad_(False)
    if precision.device.type == "cpu":
        tune_allocator()
    settings = material.settings
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
        inference=material.inference,
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
        settings=material.settings.own,
        data=data_facts(material.manifest),
        objective="contrastive" if config.trains_text else "cross_entropy",
        precision=material.precision.name,
    )


def _prompts(material: Material) -> torch.Tensor:
    names = [cls.readable for cls in material.manifest.classes]
    return prompt_tokens(material.backbone.tokenizer, names, material.templates)


def _class_weights(material: Material) -> torch.Tensor | None:
    """(C,) weights that are inverse to class frequency, with mean 1 over the training images."""
    if material.config.data.class_balance != "loss":
        return None
    labels = torch.from_numpy(material.train_set.labels)
    n_classes = len(material.manifest.classes)
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (len(labels) / (n_classes * counts.float())).to(material.precision.device)
