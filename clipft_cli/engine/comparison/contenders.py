"""Who is compared: names into methods and run directories, and the finished runs that stand for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...config.commands import CompareConfig, TrainConfig
from ...config.methods import MethodName
from ...config.recipes import is_run_name
from ...errors import CheckpointError, ConfigError, DataError
from ..checkpoint.card import read_card
from ..events import Note, OnEvent
from ..files.visible import visible
from ..images.subset import draw_subset
from ..manifest import Manifest
from ..methods import METHODS
from ..optim.recipe import epochs as epochs_by_rule
from ..run_dir import OUTPUTS, RunDir, find_checkpoint
from .finished_run import FinishedRun, open_run

ALWAYS: tuple[MethodName, ...] = ("zero_shot", "linear_probe")


@dataclass(frozen=True)
class Contender:
    """One row to be: `recipe` is what it is trained with where `runs` (seed -> run) lacks a seed."""

    label: str
    recipe: TrainConfig
    seeds: tuple[int, ...]
    runs: Mapping[int, FinishedRun] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds still to be trained."""
        return tuple(seed for seed in self.seeds if seed not in self.runs)

    def with_run(self, seed: int, run: FinishedRun) -> Contender:
        """This one with one more run."""
        return replace(self, runs={**self.runs, seed: run})


def named_runs(config: CompareConfig) -> dict[str, FinishedRun]:
    """The runs named, opened and verified. Raises CheckpointError; DataError where their data sets differ."""
    runs = {name: open_run(Path(name), config.compare.split) for name in config.compare.names if is_run_name(name)}
    first = next(iter(runs.values()), None)
    for name, run in runs.items():
        if first is not None and run.manifest_digest != first.manifest_digest:
            raise DataError(
                f"{visible(str(first.path))} and {visible(name)} were trained on different data:"
                f" {visible(str(first.data_dir))} ({_short(first.manifest_digest)})"
                f" and {visible(str(run.data_dir))} ({_short(run.manifest_digest)}){_other_classes(first, run)}",
                hint="compare runs of one data set, with one preparation of it",
            )
    return runs


def refuse_other_data(runs: Mapping[str, FinishedRun], manifest: Manifest) -> None:
    """Raises DataError for a named run that was not trained on this state of the data."""
    for name, run in runs.items():
        if run.manifest_digest != manifest.digest:
            raise DataError(
                f"{visible(name)} was trained on {visible(str(run.data_dir))} ({_short(run.manifest_digest)}), which is"
                f" not {visible(str(manifest.root))} as it is now ({_short(manifest.digest)})",
                hint="name the data set with --data-dir, or train again on this one",
            )


def line_up(
    config: CompareConfig,
    recipes: Mapping[MethodName, TrainConfig],
    manifest: Manifest,
    named: Mapping[str, FinishedRun],
    on_event: OnEvent,
) -> list[Contender]:
    """Who is compared, in the order named, with every finished run that can be taken as it is."""
    n_seeds = config.compare.seeds
    found: dict[str, Contender] = {}
    for name in dict.fromkeys((*ALWAYS, *config.compare.names)):
        if name in named:
            contender = _contender_of(name, named[name], n_seeds, manifest)
        else:
            recipe = recipes[name]  # type: ignore[index]
            seeds = _seeds(recipe, 1 if _needs_one_seed(recipe) else n_seeds)
            contender = Contender(name, recipe, seeds)
        for seed in contender.missing:
            earlier = _newest_like(contender.recipe, seed, manifest, config.compare.split)
            if earlier is not None:
                _say_reused(earlier, contender, seed, on_event)
                contender = contender.with_run(seed, earlier)
            else:
                _say_begun(contender, seed, manifest, on_event)
        if not _is_listed(contender, found.values()):
            found[name] = contender
    return _told_apart(found)


def n_train_images(recipe: TrainConfig, manifest: Manifest, seed: int) -> int:
    """Images this recipe trains on."""
    data = recipe.data
    rows = manifest.split("train")
    return len(draw_subset(rows, fraction=data.fraction, few_shot=data.few_shot, seed=seed))


def _contender_of(name: str, run: FinishedRun, n_seeds: int, manifest: Manifest) -> Contender:
    """A run that was named; its other seeds are trained as it was, on this data set where it lies now."""
    path = Path(name)
    recipe = run.config.model_copy(update={"data": run.config.data.model_copy(update={"dir": manifest.root})})
    seeds = _seeds(recipe, 1 if _needs_one_seed(recipe) else n_seeds)
    return Contender(path.name if path.parent == OUTPUTS else str(path), recipe, seeds, {seeds[0]: run})


def _told_apart(found: Mapping[str, Contender]) -> list[Contender]:
    """Those whose labels are the same are called by the names they were given."""
    times = Counter(contender.label for contender in found.values())
    return [
        replace(contender, label=str(Path(name))) if times[contender.label] > 1 else contender
        for name, contender in found.items()
    ]


def _seeds(recipe: TrainConfig, n: int) -> tuple[int, ...]:
    return tuple((recipe.seed + i) % 2**32 for i in range(n))


def _needs_one_seed(recipe: TrainConfig) -> bool:
    """Without a loop and without a drawn subset, every seed gives the same model."""
    is_drawn = recipe.data.few_shot is not None or recipe.data.fraction < 1
    return not METHODS[recipe.method].trains_by_epochs and (recipe.method == "zero_shot" or not is_drawn)


def _newest_like(recipe: TrainConfig, seed: int, manifest: Manifest, split: str) -> FinishedRun | None:
    """The newest finished run in outputs/ of the same data, method, preset, epochs, model and seed."""
    for path, _ in _runs_like(recipe, seed, manifest, is_finished=True):
        if _is_of_other_data(path, manifest):
            continue
        try:
            return open_run(path, split)
        except CheckpointError as error:
            raise CheckpointError(
                error.message, hint="it is the newest run that would be compared: restore, move or remove it"
            ) from None
    return None


def _say_begun(contender: Contender, seed: int, manifest: Manifest, on_event: OnEvent) -> None:
    """Where such a run was begun and not finished: that it can be, and need not be trained anew."""
    for path, config in _runs_like(contender.recipe, seed, manifest, is_finished=False):
        if config.data.dir.resolve() == manifest.root.resolve():
            told = f"{contender.label}, seed {seed}: {visible(str(path))} is not finished and cannot be taken;"
            how = f" `clipft train --resume {visible(str(path))}` goes on with it, then it is"
            return on_event(Note(told + how, is_warning=True))
    return None


def _runs_like(
    recipe: TrainConfig, seed: int, manifest: Manifest, *, is_finished: bool
) -> Iterator[tuple[Path, TrainConfig]]:
    """Runs in outputs/ of the same method, preset, epochs, model and seed, the newest first."""
    from ...config.load import load_config

    try:
        runs = [RunDir(path) for path in OUTPUTS.iterdir()]
    except OSError:
        return
    found = [run for run in runs if run.config.is_file() and run.is_finished == is_finished]
    dated = {run: (run.summary if is_finished else run.config).stat().st_mtime for run in found}
    for run in sorted(found, key=lambda run: dated[run], reverse=True):
        try:
            config = load_config(TrainConfig, run.config)
        except ConfigError:
            continue  # it is of another version
        if _is_like(config, recipe, seed, manifest):
            yield run.path, config


def _is_like(config: TrainConfig, recipe: TrainConfig, seed: int, manifest: Manifest) -> bool:
    return (
        config.method == recipe.method
        and (config.preset or config.method) == (recipe.preset or recipe.method)
        and (config.seed == seed or _needs_one_seed(recipe))
        and _model_of(config) == _model_of(recipe)
        and (config.data.few_shot, config.data.fraction) == (recipe.data.few_shot, recipe.data.fraction)
        and (
            not METHODS[recipe.method].trains_by_epochs or config.training.num_epochs == _epochs(recipe, manifest, seed)
        )
    )


def _model_of(config: TrainConfig) -> tuple[str, str]:
    """Name and weights, files by their place."""
    return _placed(config.model.name), _placed(config.model.pretrained or "")


def _placed(name: str) -> str:
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def _is_of_other_data(path: Path, manifest: Manifest) -> bool:
    """Whether the run says that it is; asked before its files are read and verified."""
    try:
        facts = read_card(find_checkpoint(path)).get("data")
    except CheckpointError:
        return False
    return not isinstance(facts, Mapping) or facts.get("manifest_digest") != manifest.digest


def _epochs(recipe: TrainConfig, manifest: Manifest, seed: int) -> int:
    wanted = recipe.training.num_epochs
    return epochs_by_rule(n_train_images(recipe, manifest, seed)) if wanted == "auto" else wanted


def _is_listed(contender: Contender, found: Iterable[Contender]) -> bool:
    """Whether its runs are another's already: `lora` and `outputs/lora` may be one."""
    paths = {run.path.resolve() for run in contender.runs.values()}
    return bool(paths) and any(paths <= {run.path.resolve() for run in other.runs.values()} for other in found)


def _say_reused(run: FinishedRun, contender: Contender, seed: int, on_event: OnEvent) -> None:
    told = f"{contender.label}, seed {seed}: taking the finished run {visible(str(run.path))}"
    differing = _differing(run.config, contender.recipe)
    on_event(Note(told + (f", trained with {', '.join(differing)}" if differing else ""), is_warning=bool(differing)))


def _differing(config: TrainConfig, recipe: TrainConfig) -> list[str]:
    """`key value (not VALUE)` for what changes a result and differs from the recipe; rules' values do not count."""
    differing = []
    for section in ("training", *(("lora",) if METHODS[recipe.method].has_adapters else ()), "data"):
        theirs, ours = (getattr(part, section).model_dump() for part in (config, recipe))
        for key, wanted in ours.items():
            is_place = section == "data" and key not in ("batch_size", "augmentation", "crop_scale_min", "templates")
            if wanted != theirs[key] and wanted != "auto" and not is_place:
                differing.append(f"{section}.{key} {theirs[key]} (not {wanted})")
    return differing if METHODS[recipe.method].trains_by_epochs else []


def _other_classes(first: FinishedRun, second: FinishedRun) -> str:
    """A clause where the classes differ too."""
    a, b = (run.class_names for run in (first, second))
    if a == b:
        return ""
    return f"; their classes differ ({len(a)} and {len(b)}, {len(set(a) & set(b))} of them in both)"


def _short(digest: str | None) -> str:
    return f"manifest {digest[:12]}" if digest else "no manifest digest"
