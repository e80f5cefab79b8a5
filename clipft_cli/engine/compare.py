"""`clipft compare`: methods and runs on the same images, trained where they are missing, tested in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.compare import CompareConfig
from ..config.methods import MethodName
from ..config.recipes import check_names
from ..config.train import TrainConfig
from ..errors import ConfigError
from .comparison.comparison import Comparison, build_pairs
from .comparison.contenders import Contender, line_up, named_runs, refuse_other_data
from .comparison.finished_run import FinishedRun
from .comparison.measured_table import labels_of, measure_all
from .comparison.training import expected_seconds, train_missing
from .comparison.verdict import differing_bases, recommended, verdict
from .events import Event, Note, OnEvent, unheard
from .files.places import from_here
from .files.publish import publish, staging_folder
from .manifest import Manifest, read_manifest, refuse_moved
from .methods import METHODS
from .model.precision import device_label
from .pages.comparison_files import PAGE_FILE, RESULTS_FILE, comparison_files
from .preparation.changes import find_changes
from .runs.new_run import free_folder
from .trackers.reporting import Reporting, require_trackers
from .train import dry_run, train


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
    with staging_folder(free_folder(config.compare.output_dir, "compare")) as staging:
        expected = expected_seconds(contenders, manifest, lambda recipe: dry_run(recipe, unheard), on_event)
        contenders, n_seeds, cut = train_missing(contenders, expected, config.compare, _train, on_event)
        measured, measurer = measure_all(
            config, contenders, manifest, on_event, n_seeds=n_seeds, rows=rows, other=other
        )
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
            labels=labels_of(rows, measurer),
            rows=tuple(measured),
            pairs=pairs,
            n_seeds=n_seeds,
            correction=config.compare.correction,
            verdict=verdict(measured, pairs, config.compare.correction),
            recommended=recommended(measured, pairs),
            notes=(*told, *cut),
            unreadable=tuple(measurer.bad[index] for index in sorted(measurer.bad)),
            device=f"{device_label(measurer.precision.device)}, {' and '.join(sorted(measurer.precisions))}",
            output_dir=from_here(staging.parent),
        )
        publish(staging, comparison_files(comparison), last=RESULTS_FILE)
    _report(comparison, recipes, on_event)
    return comparison


def _train(recipe: TrainConfig, on_event: OnEvent) -> Path:
    return train(recipe, on_event, is_rehearsed=True).run_dir


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
    refuse_moved(Path(first.data_dir), config.compare.names)
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
