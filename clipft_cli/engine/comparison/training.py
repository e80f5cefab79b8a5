"""The runs that a comparison lacks: how long they will take, and trained within a budget, the cheap ones first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.compare import CompareOptions
from ...config.train import TrainConfig
from ...errors import ConfigError
from ..events import Begins, Note, OnEvent
from ..files.amounts import duration
from ..files.visible import visible
from ..loop.dry_run import FIT_SECONDS
from ..machine.memory import reset_peak_memory
from ..manifest import Manifest
from ..methods import METHODS
from .contenders import Contender
from .finished_run import open_run
from .reuse import n_train_images

Train = Callable[[TrainConfig, OnEvent], Path]
"""Trains one run, to its end; gives its directory."""

Rehearse = Callable[[TrainConfig], Mapping[str, Any]]
"""Measures a few updates of a run that is not written, as `clipft train --dry-run` does."""

FORECAST_SLACK = 10.0
"""Seconds by which a forecast may be off without a word."""

FORWARD_SHARE = 1 / 3
"""What a pass without gradients costs, as a share of one with them."""

UNKNOWN_SPEED = 50.0
"""Images/s assumed for a pass without gradients where nothing has been rehearsed."""


def expected_seconds(
    contenders: Sequence[Contender], manifest: Manifest, rehearse: Rehearse, on_event: OnEvent
) -> dict[str, float]:
    """Seconds that one training of each is expected to take, from a few real updates where it trains by epochs."""
    expected: dict[str, float] = {}
    speed = UNKNOWN_SPEED
    waiting = [item for item in contenders if item.missing]
    for item in waiting:
        if METHODS[item.recipe.method].trains_by_epochs:
            on_event(Note(f"rehearsing {visible(item.label)}: a few updates, to say how long it will take"))
            rehearsed = rehearse(item.recipe.model_copy(update={"seed": item.missing[0]}))
            speed = float(rehearsed["images_per_second"]) / FORWARD_SHARE
            expected[item.label] = float(rehearsed["estimated_seconds"])
    for item in waiting:
        expected.setdefault(item.label, FIT_SECONDS + _n_seen(item, manifest) / speed)
    return expected


def _n_seen(item: Contender, manifest: Manifest) -> int:
    """Images of the passes that measure the start."""
    n_val = len(manifest.split("val"))
    return n_val + (n_train_images(item.recipe, manifest, item.seeds[0]) if METHODS[item.recipe.method].learns else 0)


def train_missing(
    contenders: list[Contender], expected: dict[str, float], options: CompareOptions, train: Train, on_event: OnEvent
) -> tuple[list[Contender], int, list[str]]:
    """Contenders with all their runs, the seeds each has, and what the budget left out.

    `expected` are the seconds that one training of each will take. Raises ConfigError where the budget leaves fewer
    than two to compare.
    """
    jobs = _jobs(contenders)
    if jobs:
        whole = sum(expected[contenders[i].label] for i, _ in jobs)
        listed = ", ".join(
            f"{visible(item.label)} {f'{len(item.missing)} x ' if len(item.missing) > 1 else ''}"
            f"{duration(expected[item.label])}"
            for item in contenders
            if item.missing
        )
        on_event(Note(f"to be trained now, expected to take {duration(whole)} in all: {listed}"))
    cut: list[str] = []
    began, forecast = time.perf_counter(), 0.0
    for i, seed in jobs:
        item = contenders[i]
        left = None if options.budget is None else options.budget - (time.perf_counter() - began)
        if left is not None and METHODS[item.recipe.method].learns and expected[item.label] > left:
            cut.append(
                f"{visible(item.label)}, seed {seed}, is not trained: it is expected to take"
                f" {duration(expected[item.label])}, and {duration(max(0.0, left))} of the budget are left"
            )
            on_event(Note(cut[-1], is_warning=True))
            continue
        on_event(Begins(f"{visible(item.label)}, seed {seed}: training with preset {item.recipe.preset}"))
        reset_peak_memory()
        started = time.perf_counter()
        forecast += expected[item.label]
        recipe = item.recipe.model_copy(update={"seed": seed})
        run_dir = train(recipe, on_event)
        expected[item.label] = time.perf_counter() - started
        contenders[i] = item.with_run(seed, open_run(run_dir, options.split))
    say_forecast(forecast, time.perf_counter() - began, on_event)
    return _evened(contenders, cut)


def say_forecast(expected: float, took: float, on_event: OnEvent) -> None:
    """Own up to a forecast that was off by half or more."""
    if abs(took - expected) > FORECAST_SLACK and not expected / 2 <= took <= 2 * expected:
        on_event(Note(f"training took {duration(took)}; {duration(expected)} had been expected"))


def _jobs(contenders: Sequence[Contender]) -> list[tuple[int, int]]:
    """(contender, seed) to train: seed after seed, so that a budget cuts all alike, cheap methods first."""
    jobs = [(i, seed) for i, item in enumerate(contenders) for seed in item.missing]
    return sorted(
        jobs,
        key=lambda job: (
            contenders[job[0]].seeds.index(job[1]),
            METHODS[contenders[job[0]].recipe.method].trains_by_epochs,
        ),
    )


def _evened(contenders: Sequence[Contender], cut: list[str]) -> tuple[list[Contender], int, list[str]]:
    """Without those that have no run; every other with as many seeds as the one that has fewest."""
    kept = [item for item in contenders if item.runs]
    if len(kept) < 2:
        raise ConfigError("the budget leaves nothing to compare: " + "; ".join(cut), hint="give a larger --budget")
    by_seed = [item for item in kept if len(item.seeds) > 1]
    n_seeds = min((len(item.runs) for item in by_seed), default=1)
    if any(len(item.runs) > n_seeds for item in by_seed):
        cut.append(f"every method is compared with {n_seeds} seed{'s' if n_seeds > 1 else ''}, which all have")
    return kept, n_seeds, cut
