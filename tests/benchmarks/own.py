"""This project's sides: always the engine that a run uses, never a path of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.images.loader import Batch, in_batches
from clipft_cli.engine.loop.assemble import assemble
from clipft_cli.engine.loop.material import load_material
from clipft_cli.engine.loop.run import Run
from clipft_cli.engine.loop.start import Start
from clipft_cli.engine.loop.step import set_trainable
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.metrics.val import ValMetrics
from clipft_cli.engine.model.classifier import CosineHead
from clipft_cli.engine.run_dir import RunDir

from .shapes import flops_of_step
from .work import LEARNING_RATE, MAX_GRAD_NORM, WEIGHT_DECAY, Task, Work, digest_of_pixels


def full_step(task: Task) -> Work:
    """One update of everything: normalise, forward, backward, clip, AdamW."""
    return _step(task, assembled(task, {}))


def compiled_full_step(task: Task) -> Work:
    """The same with the tower compiled."""
    return _step(task, assembled(task, {"hardware.compile": True}))


def lora_step(task: Task) -> Work:
    """One update of adapters on `options.targets` and of the head."""
    return _step(task, assembled(task, {"method": "lora", "lora.target_modules": tuple(task.options["targets"])}))


def _step(task: Task, run: Run) -> Work:
    set_trainable(run.parameters, frozenset(run.parameters))
    batch = first_batch(run, task.batch_size)
    rates = [LEARNING_RATE] * len(run.groups)

    def update() -> float:
        return run.stepper.update([batch], rates, seed=0).loss_sum / task.batch_size

    facts = facts_of_steps(update, run.parameters, batch.pixels)
    return Work(run=_no_result(update), facts=facts, notes={"flops": flops_of_step(task)})


def facts_of_steps(update: Callable[[], float], parameters: Mapping[str, Any], pixels: Any) -> dict[str, Any]:
    """What is the same on all sides: images, trained parameters, and the losses of the first two updates."""
    n_trained = sum(parameter.numel() for parameter in parameters.values())
    return {"images": digest_of_pixels(pixels), "trained_parameters": n_trained, "losses": [update(), update()]}


def assembled(task: Task, flags: Mapping[str, Any]) -> Run:
    """A run as `clipft train` assembles it, with the settings that peers' loops have too."""
    config = load_config(TrainConfig, flags={"method": "full", **_settings(task), **flags})
    material = load_material(config, read_manifest(config.data.dir))
    nothing = ValMetrics(loss=0.0, top1=0.0)
    tensors = load_file(task.world.head)
    head = CosineHead(tensors["weight"], float(tensors["scale"]))
    start = Start(head, "text", nothing, None, None, torch.empty(0))
    return assemble(material, start, RunDir(Path("never written")))


def _settings(task: Task) -> dict[str, Any]:
    return {
        "data.dir": task.world.data,
        "data.batch_size": task.batch_size,
        "data.augmentation": "none",
        "model.name": task.world.name,
        "model.pretrained": str(task.world.weights),
        "model.head": "cosine",
        "training.num_epochs": 1,
        "training.learning_rate": LEARNING_RATE,
        "training.weight_decay": WEIGHT_DECAY,
        "training.max_grad_norm": MAX_GRAD_NORM,
        "training.label_smoothing": 0.0,
        "training.layerwise_lr.enabled": False,
        "training.ema.enabled": False,
        "hardware.device": task.device,
        "hardware.mixed_precision": "bf16" if task.precision == "bf16" else "no",
        "hardware.num_threads": task.threads,
    }


def first_batch(run: Run, size: int) -> Batch:
    order = in_batches(np.arange(size), size)
    batches = run.loader.batches(
        order, lambda index: run.train_set.train_pixels(index, 0), run.train_set.labels, run.precision.device
    )
    batch = next(iter(batches))
    run.loader.close()
    return batch


def _no_result(update: Callable[[], float]) -> Callable[[], None]:
    def run() -> None:
        update()

    return run
