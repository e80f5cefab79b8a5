"""This project's sides of stages, in which a part of the tower is frozen: through the run's own cache of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from clipft_cli.engine.events import Event, Group, StepDone
from clipft_cli.engine.frozen.prefix_store import AnyBatch
from clipft_cli.engine.images.loader import epoch_order, in_batches
from clipft_cli.engine.loop.fit import fit
from clipft_cli.engine.loop.resume import TrainState
from clipft_cli.engine.loop.run import Run
from clipft_cli.engine.loop.step import set_trainable
from clipft_cli.engine.machine.signals import StopRequest
from clipft_cli.engine.model.inference import Inference, split_logits
from clipft_cli.engine.optim.build import build_optimizer

from .own import assembled, facts_of_steps, first_batch
from .schedule import ACCUMULATION, BATCH_SIZE, EPOCHS, EPOCHS_RUN, STAGES, WARMUP_RATIO
from .work import LEARNING_RATE, WEIGHT_DECAY, Task, Work, digest_of_pixels

STOP = StopRequest()
UNFREEZING = "training.progressive_unfreezing"


def stage(task: Task) -> Work:
    """An epoch over all images while the head and the last `options.blocks` blocks train."""
    layers = ["classifier", *(f"block.{_depth(task) - 1 - i}" for i in range(task.options["blocks"]))]
    run = assembled(
        task,
        {
            "training.num_epochs": 3,
            f"{UNFREEZING}.enabled": True,
            f"{UNFREEZING}.unfreeze_schedule": [{"epoch": 0, "layers": layers}],
            "cache.enabled": task.options["cache"],
        },
    )
    _enter(run, 0)
    rates = [LEARNING_RATE] * len(run.groups)
    order = in_batches(np.arange(len(run.train_set)), task.batch_size)

    def batches(these: list[np.ndarray]) -> Iterator[AnyBatch]:
        return run.prefix.train_batches(these, 0, _silent, STOP)

    def update() -> float:
        return run.stepper.update([next(batches(order[:1]))], rates, seed=0).loss_sum / task.batch_size

    def epoch() -> None:
        for batch in batches(order):
            run.stepper.update([batch], rates, seed=0)

    facts = facts_of_steps(update, _trained(run, 0), first_batch(run, task.batch_size).pixels)
    return Work(run=epoch, facts=facts, units=len(order))


def schedule(task: Task) -> Work:
    """The reference's schedule: a round is an epoch of training and a pass over val; see `schedule.py`."""
    names = {"last block": f"vision_model.encoder.layers.{_depth(task) - 1}"}
    settings = {
        "data.batch_size": BATCH_SIZE,
        "training.num_epochs": EPOCHS,
        "training.gradient_accumulation_steps": ACCUMULATION,
        "training.warmup_ratio": WARMUP_RATIO,
        "training.layerwise_lr.enabled": True,
        "training.layerwise_lr.decay_rate": 0.95,
        f"{UNFREEZING}.enabled": True,
        f"{UNFREEZING}.unfreeze_schedule": [
            {"epoch": epoch, "layers": [names.get(name, name)]} for epoch, name in STAGES
        ],
    }
    run = assembled(task, settings)
    batch = first_batch(run, BATCH_SIZE)
    with torch.no_grad(), run.precision.autocast():
        logits = run.classifier(run.train_set.preprocess.normalise(batch.pixels))
    facts = {
        "images": digest_of_pixels(batch.pixels),
        "trained_parameters": sum(p.numel() for p in run.parameters.values()),
        "losses": [float(torch.nn.functional.cross_entropy(logits.float(), batch.labels))],
    }
    rounds = _epochs_again_and_again(task, settings, run)
    return Work(run=lambda: next(rounds), facts=facts)


def loop_overhead(task: Task) -> Work:
    """Steps of the run's own loop; `notes.overhead`: the share of their time that lies outside of the update."""
    run = assembled(task, {"training.num_epochs": 1})
    in_update: list[float] = []
    real = run.stepper.update

    def timed(*args: Any) -> Any:
        began = time.perf_counter()
        done = real(*args)
        in_update.append(time.perf_counter() - began)
        return done

    run.stepper.update = timed  # type: ignore[method-assign]
    notes: dict[str, Any] = {"overhead": []}

    def steps() -> None:
        in_update.clear()
        ends: list[float] = []

        def watch(event: Event) -> None:
            if isinstance(event, StepDone):
                ends.append(time.perf_counter())
                if len(ends) == task.options["steps"]:
                    raise _EnoughSteps

        with suppress(_EnoughSteps):
            fit(run, TrainState(), watch, STOP)
        notes["overhead"].append(1 - sum(in_update[1:]) / (ends[-1] - ends[0]))

    return Work(run=steps, notes=notes, units=task.options["steps"])


def optimizer(task: Task) -> Work:
    """AdamW's step alone: groups by layer and decay as a run builds them, or all parameters in one."""
    run = assembled(task, {"training.layerwise_lr.enabled": True})
    groups = run.groups
    if not task.options["by_layer"]:
        n = sum(group.n_parameters for group in groups)
        groups = (Group("all", 0, tuple(run.parameters), n, LEARNING_RATE, WEIGHT_DECAY),)
    step = build_optimizer(groups, run.parameters).step
    for parameter in run.parameters.values():
        parameter.grad = torch.full_like(parameter, 1e-3)
    n_steps = 5

    def steps() -> None:
        for _ in range(n_steps):
            step()

    return Work(run=steps, units=n_steps, notes={"groups": len(groups)})


def evaluation(task: Task) -> Work:
    """Logits of two batches, as `clipft evaluate` computes them."""
    run = assembled(task, {})
    run.val_set.rows, run.val_set.labels = run.train_set.rows[:64], run.train_set.labels[:64]
    pixels = torch.from_numpy(np.stack([run.val_set.eval_pixels(i) for i in range(len(run.val_set))]))

    def logits() -> torch.Tensor:
        return split_logits(run.classifier, run.val_set, Inference(run.loader, run.precision, task.batch_size))

    loss = float(torch.nn.functional.cross_entropy(logits(), torch.from_numpy(run.val_set.labels)))
    facts = {"images": digest_of_pixels(pixels), "losses": [loss]}
    return Work(run=lambda: _discard(logits()), facts=facts, units=len(pixels))


class _EnoughSteps(Exception):
    """What was to be watched was seen."""


def _epochs_again_and_again(task: Task, settings: Mapping[str, Any], run: Run) -> Iterator[float]:
    """Seconds of the epochs in EPOCHS_RUN, then of the same ones in a new run."""
    while True:
        step = 0
        for epoch in EPOCHS_RUN:
            began = time.perf_counter()
            step = _train_epoch(run, epoch, step)
            run.settle_head()
            run.prefix.val_logits(epoch)
            yield time.perf_counter() - began
        run = assembled(task, settings)


def _train_epoch(run: Run, epoch: int, step: int) -> int:
    """As the run's own loop, without its saving; returns the number of updates so far."""
    _enter(run, epoch)
    order = epoch_order(run.train_set.labels, seed=0, epoch=epoch)
    updates = [in_batches(update, BATCH_SIZE) for update in in_batches(order, BATCH_SIZE * ACCUMULATION)]
    batches = run.prefix.train_batches([batch for update in updates for batch in update], epoch, _silent, STOP)
    for update in updates:
        run.stepper.update([next(batches) for _ in update], run.rates.at(step), seed=step)
        step += 1
    return step


def _enter(run: Run, epoch: int) -> None:
    set_trainable(run.parameters, frozenset(_trained(run, epoch)))
    run.stepper.freeze_below(run.prefix.stage_of(epoch).cut)


def _trained(run: Run, epoch: int) -> dict[str, torch.nn.Parameter]:
    names = [name for i in run.plan.trains(epoch) for name in run.layers[i].parameters]
    return {name: run.parameters[name] for name in names}


def _depth(task: Task) -> int:
    from .world import model_config

    return int(model_config(task.world)["vision_cfg"]["layers"])


def _silent(event: Event) -> None:
    return None


def _discard(_: torch.Tensor) -> None:
    return None
