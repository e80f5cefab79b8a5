"""What is about to happen, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..events import Plan
from ..files.amounts import count, duration
from ..frozen.prefix_plan import sentences
from ..machine.method_tree import MethodPick, pick_method
from ..model.layers import describe_layers
from ..model.lora import resolve_targets
from ..model.nf4 import n_weights, packed_gib
from ..model.precision import device_label
from .material import Material
from .run import Run
from .slowed import beside_others


@dataclass(frozen=True)
class Expected:
    """What a rehearsal says of a run: its seconds, images/s, the most memory held (GiB), and `how` it was measured."""

    seconds: float
    images_per_second: float
    host_memory_gib: float
    device_memory_gib: float | None
    how: str


def plan_of(run: Run, material: Material, expected: Expected | None = None) -> Plan:
    """The plan of an assembled run; with what to expect of it where it was rehearsed."""
    config = run.config
    stages = tuple((epoch, describe_layers(run.layers, run.plan.trains(epoch))) for epoch in run.plan.stages)
    return Plan(
        facts=(
            *_material_facts(material),
            *_training_facts(run),
            *(("rule", rule) for rule in material.rules),
            *(_expectation(material, expected) if expected is not None else ()),
        ),
        groups=run.groups,
        stages=stages,
        num_epochs=config.training.epochs,
        total_steps=run.rates.total_steps,
        steps_per_epoch=run.rates.steps_per_epoch,
        n_classes=len(material.manifest.classes),
    )


def plan_without_loop(material: Material, expected: Expected | None = None) -> Plan:
    """The plan of a method that measures its result and trains by no epochs."""
    told = _expectation(material, expected) if expected is not None else (_advice_fact(material),)
    return Plan(
        (*_material_facts(material), *told),
        groups=(),
        stages=(),
        num_epochs=0,
        total_steps=0,
        steps_per_epoch=0,
        n_classes=len(material.manifest.classes),
    )


def _material_facts(material: Material) -> tuple[tuple[str, str], ...]:
    """Data, model and device, as (label, value)."""
    base, data = material.backbone.base, material.config.data
    readable = [cls.readable for cls in material.manifest.classes]
    subset = f" of {len(material.manifest.split('train'))}" if data.fraction < 1 or data.few_shot else ""
    return (
        (
            "data",
            f"{material.manifest.root}: {len(readable)} classes, {len(material.train_set)}{subset} images to"
            f" train on, {len(material.val_set)} for val",
        ),
        ("classes", _shortened(readable)),
        ("prompts", _shortened([f'"{template}"' for template in material.templates], 3)),
        (
            "model",
            f"{base.name}{f' ({base.pretrained})' if base.pretrained else ''},"
            f" {n_parameters(material) / 1e6:.1f}M parameters,"
            f" {material.backbone.preprocess.size[0]} px{', QuickGELU' if base.quick_gelu else ''}",
        ),
        ("device", f"{device_label(material.precision.device)}, {material.precision.name}"),
        *((("shared", shared),) if (shared := beside_others()) is not None else ()),
        *_unused_fact(material),
    )


def _unused_fact(material: Material) -> tuple[tuple[str, str], ...]:
    if not material.unused:
        return ()
    return (("unused", f"{', '.join(material.unused)}: without effect here ({material.config.method})"),)


def _expectation(material: Material, expected: Expected) -> tuple[tuple[str, str], ...]:
    """Time, speed and memory as measured, and what the decision tree would take."""
    on_device = expected.device_memory_gib
    memory = f"{on_device:.1f} GiB of the device, " if on_device is not None else ""
    return (
        (
            "expect",
            f"about {duration(expected.seconds)}; {expected.images_per_second:.0f} images/s, peak memory"
            f" {memory}{expected.host_memory_gib:.1f} GiB of the host (measured: {expected.how})",
        ),
        _advice_fact(material),
    )


def _advice_fact(material: Material) -> tuple[str, str]:
    pick, method = advice(material), material.config.method
    other = "" if pick.method == method else f", not {pick.method}"
    return "advice", f"the decision tree says {pick.tree} ({pick.why}); this run is {method}{other}"


def advice(material: Material) -> MethodPick:
    """The decision tree's pick for these images (a drawn subset counts by what is drawn) and this device's memory."""
    data, device = material.config.data, material.precision.device
    n_images = len(material.train_set) if data.is_subset else len(material.manifest.rows)
    is_cuda = device.type == "cuda"
    return pick_method(n_images, torch.cuda.get_device_properties(device).total_memory / 2**30 if is_cuda else None)


def n_parameters(material: Material) -> int:
    """Parameters of the whole pretrained model, both towers."""
    return n_weights(material.backbone.model)


def n_trainable(run: Run) -> int:
    """Parameters that train at any time of the run."""
    return sum(parameter.numel() for parameter in run.parameters.values())


def _training_facts(run: Run) -> tuple[tuple[str, str], ...]:
    config, training = run.config, run.config.training
    whole = n_weights(run.classifier)
    accumulated = training.gradient_accumulation_steps
    return (
        (
            "method",
            f"{config.method} (preset {config.preset}): {n_trainable(run):,} of {whole:,} parameters train"
            f" ({n_trainable(run) / whole:.1%})",
        ),
        (
            "steps",
            f"{run.rates.total_steps} in {count(training.epochs, 'epoch')}, {config.data.batch_size * accumulated}"
            f" images each{f' ({accumulated} micro-batches)' if accumulated > 1 else ''},"
            f" {run.rates.n_warmup} of them warm-up, then {training.schedule}",
        ),
        *(
            ("frozen", sentence)
            for keeping in run.prefix.plan
            for sentence in sentences(keeping, config.cache, is_augmented=run.train_set.augmentation is not None)
        ),
        *_adapter_facts(run),
        *_packed_facts(run),
    )


def _adapter_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """What was asked for and is not there to be adapted; nothing where all of it is."""
    if run.classifier.adapters is None:
        return ()
    reached = {name.rpartition(".")[2] for name in run.classifier.adapters.by_name}
    targets = resolve_targets(run.config.lora.target_modules)
    left_out = [target for target in targets if target not in reached]
    if not left_out:
        return ()
    on = ", ".join(target for target in targets if target in reached)
    return (("adapters", f"on {on}; this tower has no linear layer that can be adapted for {', '.join(left_out)}"),)


def _packed_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """What four-bit weights save, and what they cost; nothing where there are none."""
    before, after = packed_gib(run.classifier)
    if not before:
        return ()
    return (
        (
            "four bits",
            f"the image tower's linear weights take {after:.3f} GiB (NF4) instead of {before:.3f} (float32); unpacked"
            " at every use, so slower. At CLIP's size activations take most of the memory: for those, a smaller"
            " batch_size or hardware.gradient_checkpointing",
        ),
    )


def _shortened(items: Sequence[str], n: int = 6) -> str:
    return ", ".join(items[:n]) + (f" and {len(items) - n} more" if len(items) > n else "")
