"""Which part of the tower is frozen in which epochs, and what of it is worth keeping: arithmetic and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...config.cache import CacheConfig
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
    """What is kept of one stage. `views` are the epochs whose training pixels are, none where train is not kept.

    `n_val_reads` is how often val is measured in the stage.
    """

    stage: Stage
    views: tuple[int, ...]
    keeps_val: bool
    n_bytes: int
    n_val_reads: int
    why_not_train: str = ""


def stages_of(classifier: Classifier, layers: Sequence[Layer], plan: UnfreezePlan, n_epochs: int) -> tuple[Stage, ...]:
    """The stages of a run; a stage ends where the frozen part becomes another one."""
    cuts = [classifier.cut_under(layers[i].name for i in plan.trains(epoch)) for epoch in range(n_epochs)]
    starts = [e for e in range(n_epochs) if e == 0 or cuts[e] != cuts[e - 1]]
    return tuple(Stage(a, b, cuts[a]) for a, b in zip(starts, [*starts[1:], n_epochs], strict=True))


def view_of(views: int | None, stage: Stage, epoch: int) -> int:
    """The epoch whose random transforms `epoch` trains on: its own, or one of `views` while a part is frozen."""
    return epoch if views is None or stage.cut == 0 else epoch % views


def plan_keeping(
    cache: CacheConfig,
    stage: Stage,
    n_train: int,
    n_val: int,
    *,
    is_augmented: bool,
    image_bytes: int,
    n_val_reads: int,
) -> Keeping:
    """What of `stage` is worth keeping and fits; a function of config and data, so that a resumed run does the same.

    `is_augmented` says whether training images are another view in each epoch, `image_bytes` what one image takes,
    `n_val_reads` how often val is measured in the stage.
    """
    if stage.cut == 0 or cache.enabled is False:
        return Keeping(stage, (), False, 0, n_val_reads)
    limit = int(cache.max_gb * 2**30)
    views = tuple(
        sorted({view_of(cache.views, stage, e) if is_augmented else 0 for e in range(stage.first, stage.stop)})
    )
    train_bytes = len(views) * n_train * image_bytes
    why_not, taken = "", 0
    if is_augmented and cache.views is None:
        why_not = "its augmentation is new in every epoch (cache.views: 4 would keep 4 fixed views of each image)"
    elif stage.n_epochs == len(views) and cache.enabled is not True:
        why_not = "it would be read only once"
    elif train_bytes > limit:
        why_not = f"it would take {train_bytes / 2**30:.1f} GiB of cache.max_gb {cache.max_gb:g}"
    if not why_not:
        taken = train_bytes
    is_val_worth_it = n_val_reads > 1 or cache.enabled is True
    keeps_val = is_val_worth_it and taken + n_val * image_bytes <= limit
    n_bytes = taken + keeps_val * n_val * image_bytes
    return Keeping(stage, () if why_not else views, keeps_val, n_bytes, n_val_reads, why_not)


def work_of(keeping: Keeping, feature_cut: int, n_train: int, n_val: int) -> float:
    """What a stage costs, in forward passes of one image through the whole tower; a backward pass counts twice."""
    stage = keeping.stage
    frozen = stage.cut / feature_cut
    below_train = len(keeping.views) or stage.n_epochs
    below_val = 1 if keeping.keeps_val else keeping.n_val_reads
    above = (1 - frozen) * (3 * stage.n_epochs * n_train + keeping.n_val_reads * n_val)
    return above + frozen * (below_train * n_train + below_val * n_val)


def sentences(keeping: Keeping, cache: CacheConfig, *, is_augmented: bool) -> list[str]:
    """What is done with the frozen part of a stage, for the plan; none where there is no frozen part."""
    stage = keeping.stage
    if stage.cut == 0:
        return []
    when = f"epoch {stage.stop}" if stage.n_epochs == 1 else f"epochs {stage.first + 1} to {stage.stop}"
    kept = [name for name, is_kept in (("train", keeping.views), ("val", keeping.keeps_val)) if is_kept]
    if cache.enabled is False:
        said = [f"{when}: what lies below the lowest layer that trains is computed anew (cache.enabled is false)"]
    elif not kept:
        said = [f"{when}: nothing is kept of train, {keeping.why_not_train}" if keeping.why_not_train else ""]
    else:
        size = f"{keeping.n_bytes / 2**20:.0f} MiB"
        why = f"; not of train: {keeping.why_not_train}" if keeping.why_not_train else ""
        said = [f"{when}: outputs of {' and '.join(kept)} are computed once and kept ({size}){why}"]
    if cache.views is not None and is_augmented:
        said.append(
            f"{when}: {cache.views} fixed augmented views of each image take turns, which is another"
            " distribution than ever new ones (cache.views)"
        )
    return [sentence for sentence in said if sentence]
