"""Images that could not be read in a run: listed and told of, however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ..events import Note, OnEvent
from ..images.dataset import BadImage, ImageDataset
from ..run_dir import RunDir
from ..sources.problems import Problem, write_problems


@contextlib.contextmanager
def listing_bad(datasets: Sequence[ImageDataset], run_dir: RunDir, on_event: OnEvent) -> Iterator[None]:
    """At the end of the block, with an error or without, the bad images of `datasets` are in problems.csv.

    One sentence tells of them where the block has found any.
    """
    n_before = len(_bad_of(datasets))
    try:
        yield
    finally:
        bad = _bad_of(datasets)
        if bad:
            write_problems(run_dir.problems, [Problem(image.path, image.reason, _replaced_by(image)) for image in bad])
        if len(bad) > n_before:
            on_event(Note(_sentence(len(bad), run_dir), is_warning=True))


def _bad_of(datasets: Sequence[ImageDataset]) -> list[BadImage]:
    return [image for dataset in datasets for image in dataset.bad.values()]


def _sentence(n: int, run_dir: RunDir) -> str:
    return f"{n} image{'s' if n > 1 else ''} could not be read, another of the class stands in: see {run_dir.problems}"


def _replaced_by(image: BadImage) -> str:
    return f"replaced by {image.stand_in}" if image.stand_in else "replaced by another of its class where one is left"
