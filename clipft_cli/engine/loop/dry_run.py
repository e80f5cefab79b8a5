"""A rehearsal: a few real updates on real images, for memory and speed; nothing of it stays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..events import OnEvent
from ..frozen.prefix_plan import work_of
from ..images.loader import epoch_order, in_batches
from ..machine.memory import peak_device_memory_gib, peak_host_memory_gib, peak_memory_gib
from ..methods import METHODS
from ..model.classifier import Classifier
from ..model.inference import split_logits
from ..optim.ema import copy_into
from ..run_dir import RunDir
from .assemble import assemble
from .finish import start_values
from .material import Material
from .plan import Expected, advice, n_trainable, plan_of, plan_without_loop
from .run import Run
from .start import Start
from .step import set_trainable

UPDATES = 4
SLOW_UPDATE = 5.0
"""Seconds of a first update from which on one more is measured, not three."""

FIT_SECONDS = 2.0
"""Allowance for what is no pass over images: prompts, the probe's regression, files."""


@dataclass(frozen=True)
class Speed:
    """Images/s of updates at the worst step of a run: everything unfrozen that will ever train."""

    images_per_second: float
    n_updates: int


def measure(material: Material, start: Start, on_event: OnEvent) -> dict[str, Any]:
    """Rehearse what `material` would be trained with, show the plan and what is to be expected.

    Returns memory (GiB), images/s, the expected seconds of the whole run, and the decision tree's pick.
    """
    if METHODS[material.config.method].trains_by_epochs:
        run = assemble(material, start, RunDir(Path("(dry run)")))
        expected = rehearsed(run, with_start=True)
        on_event(plan_of(run, material, expected))
        facts = {
            "trainable_parameters": n_trainable(run),
            "epochs": run.config.training.epochs,
            "total_steps": run.rates.total_steps,
        }
    else:
        expected = _rehearsed_pass(material, start)
        on_event(plan_without_loop(material, expected))
        n_head = sum(parameter.numel() for parameter in start.head.parameters())
        facts = {
            "trainable_parameters": n_head if METHODS[material.config.method].learns else 0,
            "epochs": 0,
            "total_steps": 0,
        }
    return {
        "method": material.config.method,
        **facts,
        "images_per_second": expected.images_per_second,
        "peak_memory_gib": peak_memory_gib(material.precision.device),
        "peak_host_memory_gib": expected.host_memory_gib,
        "peak_device_memory_gib": expected.device_memory_gib,
        "estimated_seconds": expected.seconds,
        "advice": asdict(advice(material)),
    }


def rehearsed(run: Run, *, with_start: bool) -> Expected:
    """What to expect of `run`, from a few of its own updates; then it is put back as it was.

    `with_start`: whether the passes that measure its start are still to come.
    """
    scaler = run.stepper.scaler.state_dict()
    before = start_values(run.parameters)
    try:
        speed = _few_updates(run)
    finally:
        copy_into(run.parameters, before)
        run.stepper.optimizer.state.clear()
        if run.stepper.scaler.is_enabled():
            run.stepper.scaler.load_state_dict(scaler)
        run.loader.take_waited()
    n_train, n_val = len(run.train_set), len(run.val_set)
    top = run.classifier.feature_cut
    work = sum(work_of(keeping, top, n_train, n_val) for keeping in run.prefix.plan) + with_start * (n_train + n_val)
    # one image of the updates measured: forward, and backward above what never trains
    per_image = 3 - 2 * run.prefix.lowest_cut / top
    device = run.precision.device
    return Expected(
        work / per_image / speed.images_per_second + FIT_SECONDS,
        speed.images_per_second,
        peak_host_memory_gib(),
        peak_device_memory_gib(device),
        f"{speed.n_updates} updates with everything unfrozen that will ever train",
    )


def _few_updates(run: Run) -> Speed:
    set_trainable(run.parameters, frozenset(run.parameters))
    run.stepper.freeze_below(run.prefix.lowest_cut)
    data, training = run.config.data, run.config.training
    order = epoch_order(run.train_set.labels, seed=run.config.seed, epoch=0, balance=data.class_balance)
    updates = in_batches(order, data.batch_size * training.gradient_accumulation_steps)[:UPDATES]
    seconds, images, done = 0.0, 0, 0
    for n, update in enumerate(updates):
        began = time.perf_counter()
        images_now = _update(run, in_batches(update, data.batch_size))
        took = time.perf_counter() - began
        done += 1
        if n > 0 or len(updates) == 1:  # the first pays for warming up
            seconds += took
            images += images_now
        if n == 1 and took > SLOW_UPDATE:
            break
    return Speed(images / max(seconds, 1e-9), done)


def _update(run: Run, batches: Sequence[np.ndarray]) -> int:
    loaded = run.loader.batches(
        batches, lambda index: run.train_set.train_pixels(index, 0), run.train_set.labels, run.precision.device
    )
    return run.stepper.update(list(loaded), run.rates.at(0), run.config.seed).n_images


def _rehearsed_pass(material: Material, start: Start) -> Expected:
    """What to expect of a method without a loop: its time is that of one pass over the images."""
    clip = material.backbone.model.requires_grad_(False)
    method = METHODS[material.config.method]
    classifier = method.attach(clip, start.head, material.settings).to(material.precision.device)
    n_train = len(material.train_set) if method.learns else 0
    speed = _speed_of_a_pass(material, classifier)
    device = material.precision.device
    return Expected(
        (n_train + len(material.val_set)) / speed + FIT_SECONDS,
        speed,
        peak_host_memory_gib(),
        peak_device_memory_gib(device),
        "one pass over the val images",
    )


def _speed_of_a_pass(material: Material, classifier: Classifier) -> float:
    began = time.perf_counter()
    split_logits(classifier, material.val_set, material.inference)
    if material.precision.device.type == "cuda":
        torch.cuda.synchronize(material.precision.device)
    return len(material.val_set) / max(time.perf_counter() - began, 1e-9)
