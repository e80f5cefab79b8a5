"""`clipft compare`: methods and runs on the same images, trained where they are missing, tested in pairs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..config.compare import CompareConfig
from ..config.methods import MethodName
from ..config.recipes import check_names
from ..config.train import TrainConfig
from ..errors import ConfigError
from .comparison.comparison import Comparison, build_pairs, build_row
from .comparison.comparison import Row as TableRow
from .comparison.contenders import Contender, line_up, named_runs, refuse_other_data
from .comparison.finished_run import FinishedRun, open_run
from .comparison.measured_run import Measurer
from .comparison.reuse import n_train_images
from .comparison.verdict import differing_bases, recommended, verdict
from .events import Begins, Event, Note, OnEvent, unheard
from .files.amounts import duration
from .files.publish import publish, staging_folder
from .files.visible import visible
from .images.loader import Loader
from .loop.dry_run import FIT_SECONDS
from .machine.hardware import worker_count
from .machine.memory import reset_peak_memory
from .manifest import Manifest, Row, read_manifest
from .methods import METHODS
from .model.precision import device_label, set_up
from .pages.comparison_files import PAGE_FILE, RESULTS_FILE, comparison_files
from .preparation.changes import find_changes
from .run_dir import OUTPUTS
from .runs.new_run import refuse_taken
from .trackers.reporting import Reporting, require_trackers
from .train import dry_run, train

FORECAST_SLACK = 10.0
"""Seconds by which a forecast may be off without a word."""

FORWARD_SHARE = 1 / 3
"""What a pass without gradients costs, as a share of one with them."""

UNKNOWN_SPEED = 50.0
"""Images/s assumed for a pass without gradients where nothing has been rehearsed."""


def compare(
    config: CompareConfig,
    recipes: Mapping[MethodName, TrainConfig],
    on_event: OnEvent = unheard,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare methods (`recipes`: what each would be trained with) and runs. Raises ClipftError."""
    check_names(config.compare.names)
    named = named_runs(config)
    manifest = read_manifest(_data_dir(config, named))
    refuse_other_data(named, manifest)
    rows = manifest.split(config.compare.split)
    other = read_manifest(config.compare.retention) if config.compare.retention is not None else None
    if other is not None:
        other.split("test")  # refused where it has none, before anything is trained
    told = list(notes) + _state_of(manifest)
    recipes = _fitted(recipes, manifest, named)
    for text in told:
        on_event(Note(text, is_warning=True))

    def keep(event: Event) -> None:
        if isinstance(event, Note) and event.is_warning:
            told.append(event.text)
        on_event(event)

    contenders = line_up(config, recipes, manifest, named, keep)
    _refuse_training(config, contenders)
    with staging_folder(_free_folder(config.compare.output_dir)) as staging:
        contenders, n_seeds, cut = _trained(config, contenders, manifest, on_event)
        measured, measurer = _measured(config, contenders, manifest, on_event, n_seeds=n_seeds, rows=rows, other=other)
        pairs = build_pairs(measured, config.compare.correction)
        for text in differing_bases(measured):
            on_event(Note(text, is_warning=True))
            told.append(text)
        comparison = Comparison(
            split=config.compare.split,
            data={
                "data_dir": str(manifest.root),
                "data_name": manifest.name,
                "manifest_digest": manifest.digest,
                "retention_data": str(config.compare.retention) if config.compare.retention else None,
            },
            class_names=tuple((info.name, info.readable) for info in manifest.classes),
            paths=tuple(str(manifest.file(row)) for i, row in enumerate(rows) if i not in measurer.bad),
            labels=_labels(rows, measurer),
            rows=tuple(measured),
            pairs=pairs,
            n_seeds=n_seeds,
            correction=config.compare.correction,
            verdict=verdict(measured, pairs, config.compare.correction),
            recommended=recommended(measured, pairs),
            notes=(*told, *cut),
            unreadable=tuple(measurer.bad[index] for index in sorted(measurer.bad)),
            device=f"{device_label(measurer.precision.device)}, {' and '.join(sorted(measurer.precisions))}",
            output_dir=_relative(staging.parent),
        )
        publish(staging, comparison_files(comparison), last=RESULTS_FILE)
    _report(comparison, recipes, on_event)
    return comparison


def _report(comparison: Comparison, recipes: Mapping[MethodName, TrainConfig], on_event: OnEvent) -> None:
    """The page goes to the trackers that the runs of this comparison report to."""
    names = sorted({name for recipe in recipes.values() for name in recipe.training.report_to})
    folder = comparison.output_dir
    about = {**comparison.data, "split": comparison.split, "verdict": comparison.verdict}
    with Reporting(names, folder, about, on_event) as trackers:
        trackers.keep(folder / PAGE_FILE)


def _data_dir(config: CompareConfig, named: Mapping[str, FinishedRun]) -> Path:
    """data.dir where it is given, else what the first named run was trained on."""
    first = next(iter(named.values()), None)
    if first is None or "dir" in config.data.model_fields_set:
        return config.data.dir
    return Path(first.data_dir)


def _state_of(manifest: Manifest) -> list[str]:
    changes = find_changes(manifest)
    return [changes.describe()] if changes else []


def _fitted(
    recipes: Mapping[MethodName, TrainConfig], manifest: Manifest, named: Mapping[str, FinishedRun]
) -> dict[MethodName, TrainConfig]:
    """Recipes on this data set; beside named runs, from the pretrained model of the first of them."""
    first = next(iter(named.values()), None)
    fitted = {}
    for method, recipe in recipes.items():
        model = recipe.model
        if first is not None:
            name, pretrained = first.model
            model = model.model_copy(update={"name": name, "pretrained": pretrained})
        data = recipe.data.model_copy(update={"dir": manifest.root})
        fitted[method] = recipe.model_copy(update={"data": data, "model": model})
    return fitted


def _refuse_training(config: CompareConfig, contenders: Sequence[Contender]) -> None:
    """Raises ConfigError where runs are missing and none may be trained.

    MissingExtraError where a method needs a package that is not installed.
    """
    for item in contenders:
        METHODS[item.recipe.method].require()
        require_trackers(item.recipe.training.report_to)
    lacking = [item for item in contenders if item.missing and METHODS[item.recipe.method].learns]
    if lacking and config.compare.no_train:
        listed = "; ".join(
            f"{item.label} (preset {item.recipe.preset or item.recipe.method},"
            f" seed{'s' if len(item.missing) > 1 else ''} {', '.join(map(str, item.missing))})"
            for item in lacking
        )
        raise ConfigError(
            f"no finished run on this data set, and --no-train: {listed}",
            hint="leave out --no-train, then it is trained now; a run of equal settings, data, model and seed is taken",
        )


def _trained(
    config: CompareConfig, contenders: list[Contender], manifest: Manifest, on_event: OnEvent
) -> tuple[list[Contender], int, list[str]]:
    """Contenders with all their runs, the seeds each has, and what the budget left out."""
    jobs = _jobs(contenders)
    expected = _expected_seconds(contenders, manifest, on_event) if jobs else {}
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
        left = None if config.compare.budget is None else config.compare.budget - (time.perf_counter() - began)
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
        result = train(recipe, on_event, is_rehearsed=True)
        expected[item.label] = time.perf_counter() - started
        contenders[i] = item.with_run(seed, open_run(result.run_dir, config.compare.split))
    _say_forecast(forecast, time.perf_counter() - began, on_event)
    return _evened(contenders, cut)


def _say_forecast(expected: float, took: float, on_event: OnEvent) -> None:
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


def _expected_seconds(contenders: Sequence[Contender], manifest: Manifest, on_event: OnEvent) -> dict[str, float]:
    """Seconds one training of each is expected to take, from a few real updates of each that trains by epochs."""
    expected: dict[str, float] = {}
    speed = UNKNOWN_SPEED
    waiting = [item for item in contenders if item.missing]
    for item in waiting:
        if METHODS[item.recipe.method].trains_by_epochs:
            on_event(Note(f"rehearsing {visible(item.label)}: a few updates, to say how long it will take"))
            rehearsed = dry_run(item.recipe.model_copy(update={"seed": item.missing[0]}), unheard)
            speed = float(rehearsed["images_per_second"]) / FORWARD_SHARE
            expected[item.label] = float(rehearsed["estimated_seconds"])
    for item in waiting:
        expected.setdefault(item.label, FIT_SECONDS + _n_seen(item, manifest) / speed)
    return expected


def _n_seen(item: Contender, manifest: Manifest) -> int:
    """Images of the passes that measure the start."""
    n_val = len(manifest.split("val"))
    return n_val + (n_train_images(item.recipe, manifest, item.seeds[0]) if METHODS[item.recipe.method].learns else 0)


def _measured(
    config: CompareConfig,
    contenders: Sequence[Contender],
    manifest: Manifest,
    on_event: OnEvent,
    *,
    n_seeds: int,
    rows: Sequence[Row],
    other: Manifest | None,
) -> tuple[list[TableRow], Measurer]:
    """A row for each contender, in its order, over the images that could be read."""
    precision = set_up(config.hardware)
    with contextlib.closing(Loader(worker_count(config.data.num_workers))) as loader:
        measurer = Measurer(config, manifest, rows, precision, loader, other)
        answers = [[measurer.answer(run, on_event) for run in _first(item, n_seeds).values()] for item in contenders]
    kept = [index for index in range(len(rows)) if index not in measurer.bad]
    labels = _labels(rows, measurer)
    names = [(info.name, info.readable) for info in manifest.classes]
    table = [
        build_row(
            item.label,
            [replace(answer, logits=answer.logits[kept]) for answer in found],
            list(_first(item, n_seeds)),
            labels,
            names,
        )
        for item, found in zip(contenders, answers, strict=True)
    ]
    return table, measurer


def _first(item: Contender, n_seeds: int) -> dict[int, FinishedRun]:
    present = [seed for seed in item.seeds if seed in item.runs]
    return {seed: item.runs[seed] for seed in present[:n_seeds]}


def _labels(rows: Sequence[Row], measurer: Measurer) -> np.ndarray:
    return np.array([row.label for i, row in enumerate(rows) if i not in measurer.bad], dtype=np.int64)


def _free_folder(wish: Path | None) -> Path:
    """The wish, or outputs/compare, with the next free number where something lies there.

    Raises ResourceError where a wish is taken.
    """
    if wish is not None:
        refuse_taken(wish)
        return wish
    path, number = OUTPUTS / "compare", 1
    while path.is_dir() and any(path.iterdir()):
        number += 1
        path = OUTPUTS / f"compare-{number}"
    return path


def _relative(path: Path) -> Path:
    here = Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
