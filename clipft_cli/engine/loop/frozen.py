"""Which part of the tower is frozen in which epochs, and what of it is worth keeping: arithmetic and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...config.commands import TrainConfig
from ..model.classifier import Classifier
from ..model.layers import Layer
from ..optim.unfreeze import UnfreezePlan


@dataclass(frozen=True)
class Stage:
    """Epochs `first` to `stop` - 1, in which nothing below `cut` trains (0: nothing is frozen)."""

    first: int
    stop: int
    cut: int

    @property
    def n_epochs(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True)
class Keeping:
    """What is kept of one stage. `views` are the epochs whose training pixels are, none where train is not kept."""

    stage: Stage
    views: tuple[int, ...]
    keeps_val: bool
    n_bytes: int
    why_not_train: str = ""


def stages_of(classifier: Classifier, layers: Sequence[Layer], plan: UnfreezePlan, n_epochs: int) -> tuple[Stage, ...]:
    """The stages of a run; a stage ends where the frozen part becomes another one."""
    cuts = [classifier.cut_under(layers[i].name for i in plan.trains(epoch)) for epoch in range(n_epochs)]
    starts = [e for e in range(n_epochs) if e == 0 or cuts[e] != cuts[e - 1]]
    return tuple(Stage(a, b, cuts[a]) for a, b in zip(starts, [*starts[1:], n_epochs], strict=True))


def view_of(config: TrainConfig, stage: Stage, epoch: int) -> int:
    """The epoch whose random transforms `epoch` trains on: its own, or a fixed view while a part is frozen."""
    views = config.cache.views
    return epoch if views is None or stage.cut == 0 else epoch % views


def plan_keeping(
    config: TrainConfig, stage: Stage, n_train: int, n_val: int, image_bytes: int, n_val_reads: int
) -> Keeping:
    """What of `stage` is worth keeping and fits; a function of config and data, so that a resumed run does the same.

    `image_bytes` is what one image takes, `n_val_reads` how often val is measured in the stage.
    """
    cache = config.cache
    nothing = Keeping(stage, (), False, 0)
    if stage.cut == 0 or cache.enabled is False:
        return nothing
    least_reads = 1 if cache.enabled is True else 2
    limit = int(cache.max_gb * 2**30)
    is_fixed = config.data.augmentation == "none"
    views = tuple(sorted({0 if is_fixed else view_of(config, stage, e) for e in range(stage.first, stage.stop)}))
    train_bytes = len(views) * n_train * image_bytes
    why_not, taken = "", 0
    if not is_fixed and cache.views is None:
        why_not = "its augmentation is new in every epoch (cache.views: 4 would keep 4 fixed views of each image)"
    elif stage.n_epochs < least_reads * len(views) and stage.n_epochs == len(views):
        why_not = "it would be read only once"
    elif train_bytes > limit:
        why_not = f"it would take {train_bytes / 2**30:.1f} GiB of cache.max_gb {cache.max_gb:g}"
    if not why_not:
        taken = train_bytes
    keeps_val = n_val_reads >= least_reads and taken + n_val * image_bytes <= limit
    n_bytes = taken + keeps_val * n_val * image_bytes
    return Keeping(stage, () if why_not else views, keeps_val, n_bytes, why_not)


def sentences(keeping: Keeping, config: TrainConfig) -> list[str]:
    """What is done with the frozen part of a stage, for the plan; none where there is no frozen part."""
    stage = keeping.stage
    if stage.cut == 0:
        return []
    when = f"epoch {stage.stop}" if stage.n_epochs == 1 else f"epochs {stage.first + 1} to {stage.stop}"
    kept = [name for name, is_kept in (("train", keeping.views), ("val", keeping.keeps_val)) if is_kept]
    if config.cache.enabled is False:
        said = [f"{when}: what lies below the lowest layer that trains is computed anew (cache.enabled is false)"]
    elif not kept:
        said = [f"{when}: nothing is kept of train, {keeping.why_not_train}" if keeping.why_not_train else ""]
    else:
        size = f"{keeping.n_bytes / 2**20:.0f} MiB"
        why = f"; not of train: {keeping.why_not_train}" if keeping.why_not_train else ""
        said = [f"{when}: outputs of {' and '.join(kept)} are computed once and kept ({size}){why}"]
    if config.cache.views is not None and config.data.augmentation != "none":
        said.append(
            f"{when}: {config.cache.views} fixed augmented views of each image take turns, which is another"
            " distribution than ever new ones (cache.views)"
        )
    return [sentence for sentence in said if sentence]
