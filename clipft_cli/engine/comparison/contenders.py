"""Who is compared: names into methods and run directories, and the finished runs that stand for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...config.compare import CompareConfig
from ...config.methods import BASELINES, MethodName
from ...config.recipes import is_run_name
from ...config.train import TrainConfig
from ...errors import CheckpointError, DataError
from ..events import Note, OnEvent
from ..files.places import from_here, without_place
from ..files.visible import quoted, visible
from ..manifest import Manifest
from ..methods import METHODS
from ..run_dir import OUTPUTS
from .finished_run import FinishedRun, open_run
from .reuse import earlier_runs


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
    for name in dict.fromkeys((*BASELINES, *config.compare.names)):
        if name in named:
            contender = _contender_of(name, named[name], n_seeds, manifest)
        else:
            recipe = recipes[name]  # type: ignore[index]
            seeds = _seeds(recipe, 1 if _needs_one_seed(recipe) else n_seeds)
            contender = Contender(name, recipe, seeds)
        for seed in contender.missing:
            earlier = _newest_equal(contender.recipe, seed, manifest, config.compare.split)
            if earlier is not None:
                path = visible(str(earlier.path))
                on_event(Note(f"{contender.label}, seed {seed}: taking the finished run {path}"))
                contender = contender.with_run(seed, earlier)
            else:
                _say_begun(contender, seed, manifest, on_event)
        others = {}
        if name in config.compare.names and name not in named:
            others = _of_other_settings(contender, manifest, config.compare.split, on_event)
        for called, row in {name: contender, **others}.items():
            if not _is_listed(row, found.values()):
                found[called] = row
    return _told_apart(found)


def _contender_of(name: str, run: FinishedRun, n_seeds: int, manifest: Manifest) -> Contender:
    """A run that was named; its other seeds are trained as it was, on this data set where it lies now."""
    path = from_here(Path(name))
    recipe = run.config.model_copy(update={"data": run.config.data.model_copy(update={"dir": manifest.root})})
    seeds = _seeds(recipe, 1 if _needs_one_seed(recipe) else n_seeds)
    label = path.name if path.parent == OUTPUTS else without_place(str(path))
    return Contender(label, recipe, seeds, {seeds[0]: run})


def _told_apart(found: Mapping[str, Contender]) -> list[Contender]:
    """Those whose labels are the same are called by as much of the end of their names as tells them apart."""
    times = Counter(contender.label for contender in found.values())
    return [
        replace(contender, label=_shortest(name, found)) if times[contender.label] > 1 else contender
        for name, contender in found.items()
    ]


def _shortest(name: str, others: Iterable[str]) -> str:
    parts = Path(name).parts
    ends = (parts[start:] for start in range(len(parts) - 1, 0, -1))
    rest = [Path(other).parts for other in others if other != name]
    telling = (end for end in ends if not any(other[-len(end) :] == end for other in rest))
    return str(Path(*next(telling, parts)))


def _seeds(recipe: TrainConfig, n: int) -> tuple[int, ...]:
    return tuple((recipe.seed + i) % 2**32 for i in range(n))


def _needs_one_seed(recipe: TrainConfig) -> bool:
    """Without a loop and without a drawn subset, every seed gives the same model."""
    return not METHODS[recipe.method].trains_by_epochs and not (METHODS[recipe.method].learns and recipe.data.is_subset)


def _newest_equal(recipe: TrainConfig, seed: int, manifest: Manifest, split: str) -> FinishedRun | None:
    """The newest finished run in outputs/ that is equal in all that decides its result."""
    for earlier in earlier_runs(recipe, seed, manifest, is_finished=True):
        if not earlier.differing:
            try:
                return open_run(earlier.path, split)
            except CheckpointError as error:
                raise CheckpointError(
                    error.message, hint="it is the newest run that would be compared: restore, move or remove it"
                ) from None
    return None


def _of_other_settings(contender: Contender, manifest: Manifest, split: str, on_event: OnEvent) -> dict[str, Contender]:
    """The newest run of the method that was trained with other settings than asked for now, by its own name."""
    seeds = contender.missing
    if not seeds or not METHODS[contender.recipe.method].learns:
        return {}
    for earlier in earlier_runs(contender.recipe, seeds[0], manifest, is_finished=True):
        told = [text for text in earlier.differing if not text.startswith("seed ")]
        if not told:
            continue  # only another seed, which is no other method
        try:
            run = open_run(earlier.path, split)
        except CheckpointError:
            continue
        path = visible(str(earlier.path))
        said = f"{path} was trained with {', '.join(told)}: it is compared under its own name, and does not stand for"
        on_event(Note(f"{said} {contender.label}", is_warning=True))
        recipe = earlier.config.model_copy(
            update={"data": earlier.config.data.model_copy(update={"dir": manifest.root})}
        )
        return {str(earlier.path): Contender(str(earlier.path), recipe, (recipe.seed,), {recipe.seed: run})}
    return {}


def _say_begun(contender: Contender, seed: int, manifest: Manifest, on_event: OnEvent) -> None:
    """Where such a run was begun and not finished: that it can be, and need not be trained anew."""
    for earlier in earlier_runs(contender.recipe, seed, manifest, is_finished=False):
        if not earlier.differing:
            path = visible(str(earlier.path))
            told = f"{contender.label}, seed {seed}: {path} is not finished and cannot be taken;"
            how = f" `clipft train --resume {quoted(path)}` goes on with it, then it is"
            return on_event(Note(told + how, is_warning=True))
    return None


def _is_listed(contender: Contender, found: Iterable[Contender]) -> bool:
    """Whether its runs are another's already: `lora` and `outputs/lora` may be one."""
    paths = {run.path.resolve() for run in contender.runs.values()}
    return bool(paths) and any(paths <= {run.path.resolve() for run in other.runs.values()} for other in found)


def _other_classes(first: FinishedRun, second: FinishedRun) -> str:
    """A clause where the classes differ too."""
    a, b = (run.class_names for run in (first, second))
    if a == b:
        return ""
    return f"; their classes differ ({len(a)} and {len(b)}, {len(set(a) & set(b))} of them in both)"


def _short(digest: str | None) -> str:
    return f"manifest {digest[:12]}" if digest else "no manifest digest"
