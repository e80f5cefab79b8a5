"""A rehearsal: a few real updates on real images, for memory and speed; nothing is kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..data.loader import epoch_order, in_batches
from ..run_dir import RunDir
from .assemble import Material, assemble
from .events import OnEvent
from .memory import peak_memory_gib
from .plan import n_trainable, plan_of
from .start import Start
from .step import set_trainable

UPDATES = 4


def measure(material: Material, start: Start, on_event: OnEvent) -> dict[str, Any]:
    """Run a few updates with everything unfrozen that will ever train (the worst step of the run).

    Returns memory (GiB), images/s and the expected seconds of the whole run.
    """
    run = assemble(material, start, RunDir(Path("(dry run)")))
    on_event(plan_of(run, material))
    set_trainable(run.parameters, frozenset(run.parameters))
    config = run.config
    size = config.data.batch_size * config.training.gradient_accumulation_steps
    updates = in_batches(epoch_order(run.train_set.labels, seed=config.seed, epoch=0), size)[:UPDATES]
    seconds, images = 0.0, 0
    for n, update in enumerate(updates):
        began = time.perf_counter()
        batches = list(
            run.loader.batches(
                in_batches(update, config.data.batch_size),
                lambda index: run.train_set.train_pixels(index, 0),
                run.train_set.labels,
                run.precision.device,
            )
        )
        done = run.stepper.update(batches, run.rates.at(0))
        if n > 0 or len(updates) == 1:  # the first pays for warming up
            seconds += time.perf_counter() - began
            images += done.n_images
    speed = images / max(seconds, 1e-9)
    epochs = config.training.epochs
    # a pass without gradients costs about a third of one with them
    whole = epochs * (len(run.train_set) + len(run.val_set) / 3) / speed
    return {
        "method": config.method,
        "trainable_parameters": n_trainable(run),
        "images_per_second": speed,
        "peak_memory_gib": peak_memory_gib(run.precision.device),
        "epochs": epochs,
        "total_steps": run.rates.total_steps,
        "estimated_seconds": whole,
    }
