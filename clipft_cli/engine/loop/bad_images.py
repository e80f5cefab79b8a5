"""Images that could not be read in a run: listed and told of, however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ..data.dataset import BadImage, ImageDataset
from ..data.problems import Problem, write_problems
from ..run_dir import RunDir
from .events import Note, OnEvent


@contextlib.contextmanager
def listing_bad(datasets: Sequence[ImageDataset], run_dir: RunDir, on_event: OnEvent) -> Iterator[None]:
    """At the end of the block, with an error or without, the bad images of `datasets` are in problems.csv."""
    try:
        yield
    finally:
        _report_bad(run_dir, datasets, on_event)


def _report_bad(run_dir: RunDir, datasets: Sequence[ImageDataset], on_event: OnEvent) -> None:
    bad = [image for dataset in datasets for image in dataset.bad.values()]
    if bad:
        write_problems(
            run_dir.problems,
            [Problem(image.path, image.reason, _replaced_by(image)) for image in bad],
        )
        on_event(
            Note(
                f"{len(bad)} image{'s' if len(bad) > 1 else ''} could not be read, another of the class stands in:"
                f" see {run_dir.problems}",
                is_warning=True,
            )
        )


def _replaced_by(image: BadImage) -> str:
    return f"replaced by {image.stand_in}" if image.stand_in else "no other image of its class can be read"
