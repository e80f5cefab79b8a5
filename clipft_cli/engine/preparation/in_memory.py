"""Labelled images that nobody prepared, as a data set to measure on: nothing is written beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...config.evaluate import EvaluateConfig
from ...config.prepare import PrepareConfig
from ..files.visible import shown
from ..manifest import Manifest, Origin, Row, digest_of, read_manifest, sorted_rows
from ..sources import source_of
from ..sources.columns import NONE
from ..sources.losses import warn_of_losses
from ..sources.problems import Problem, summarise
from ..sources.same_again import MeasureOptions
from ..sources.source import SourceRequest
from ..sources.unprepared import is_unprepared
from .draft import Draft, make_draft, settle_labels
from .split import TEST_ONLY
from .target import Target


@dataclass(frozen=True)
class MeasuredData:
    """Images with classes. `warnings`: what a reader of figures on them must know."""

    manifest: Manifest
    warnings: tuple[str, ...] = ()
    is_prepared: bool = True


@contextmanager
def measured_data(path: Path, config: EvaluateConfig) -> Iterator[MeasuredData]:
    """The data set in `path`; labelled images that are none yet are read, and checked as prepare does.

    Where the source says splits they hold, else all images are test. Equal files count once. Near copies are not
    looked for: they bias nothing where no image is trained on. Raises DataError where nothing can be read, and Question
    where there is more than one way.
    """
    if not is_unprepared(path):
        yield MeasuredData(read_manifest(path))
        return
    with tempfile.TemporaryDirectory(prefix="clipft-") as work:
        yield _prepared(path, Path(work), config)


def _prepared(path: Path, work: Path, asked: EvaluateConfig) -> MeasuredData:
    def no_word(stage: str, done: int, total: int | None) -> None:
        """Progress, which evaluate shows of its own."""

    read = {name: getattr(asked.evaluate.read, name) for name in type(asked.evaluate.read).model_fields}
    options = MeasureOptions(
        **read, asked=asked, source=str(path), near_duplicate_distance=None, min_per_class=1, group_column=NONE
    )
    kind, evidence = source_of(str(path))
    listing = kind.read(SourceRequest(options, asked.seed, work, work, no_word))
    warn_of_losses(listing)
    shares = TEST_ONLY if all(item.split is None for item in listing.items) else options.split
    config = PrepareConfig(seed=asked.seed, prepare=options.model_copy(update={"split": shares}))
    root = path if path.is_dir() else path.parent
    target = Target(root, str(path), kind, evidence, stays=True)
    settle_labels(config, target, listing)
    draft = make_draft(config, target, listing, no_word)
    rows = sorted_rows(_rows(draft, path))
    classes = tuple(draft.classes)
    origin = Origin(str(path), asked.seed, draft.shares, in_place=True)
    manifest = Manifest(path, listing.name, classes, rows, digest_of(classes, rows), origin)
    return MeasuredData(manifest, (*draft.warnings, *_left_out(draft.problems, listing.told)), is_prepared=False)


def _rows(draft: Draft, root: Path) -> Iterator[Row]:
    """Paths are relative to `root` where it is a folder and the images lie in it; a table holds none."""
    for picture, split, label in zip(draft.pictures, draft.splits, draft.labels(), strict=True):
        file = picture.item.file
        path = file.relative_to(root) if root.is_dir() and file.is_relative_to(root) else file.absolute()
        yield Row(path.as_posix(), label, split, picture.sha256, picture.bytes, picture.item.group)


def _left_out(problems: list[Problem], told: Collection[str]) -> Iterator[str]:
    for found in summarise(problems):
        if found.action == "left out" and found.reason not in told:
            yield f"{found.count} x {found.reason}, left out: {shown(', '.join(found.examples), 200)}"
