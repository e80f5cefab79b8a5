"""The drawn dogs as a source: pictures made by this package, so that everything runs without a download."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from pathlib import Path

from ...config.prepare import PrepareOptions
from ...errors import ConfigError
from ..machine.hardware import worker_count
from ..manifest import DRAWN_ORIGIN
from .listing import Item, Listing
from .source import Source, SourceRequest

DEFAULT_PER_CLASS = 100
VERSION = 1
"""Of the drawings: one more wherever the same request gives other pixels."""
JPEG_QUALITY = 90
DRAWN_NOTE = "These are drawings made by clipft, not photographs: `clipft prepare FOLDER` takes your own."
_CHUNK = 10
_MIN_FOR_PROCESSES = 200


def drawn_classes(num_classes: int | None) -> list[str]:
    """Folder names of the first breeds. Raises ConfigError for more than there are."""
    from ...demo.breeds import BREEDS

    breeds = list(BREEDS)
    if num_classes == 1:
        raise ConfigError("--num-classes 1: a classifier needs at least 2", hint=f"choose 2 to {len(breeds)}")
    if num_classes is not None and num_classes > len(breeds):
        raise ConfigError(
            f"--num-classes {num_classes}: there are {len(breeds)} drawn breeds",
            hint=f"choose 2 to {len(breeds)}, or give your own images as `clipft prepare FOLDER`",
        )
    return breeds[:num_classes]


def draw_listing(
    work: Path, breeds: list[str], per_class: int, seed: int, on_done: Callable[[int, int], None]
) -> Listing:
    """Draw `per_class` pictures of each breed into `work`, by several processes where that pays."""
    jobs = [(work / breed / f"{breed}_{i:04d}.jpg", breed, i) for breed in breeds for i in range(per_class)]
    for breed in breeds:
        (work / breed).mkdir(parents=True, exist_ok=True)
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    done = 0
    for count in _draw_chunks(chunks, seed, len(jobs)):
        done += count
        on_done(done, len(jobs))
    items = [Item(file, f"{breed}/{file.name}", breed) for file, breed, _ in jobs]
    return Listing("dogs", DRAWN_ORIGIN, items, notes=[DRAWN_NOTE])


def _draw_chunks(chunks: list[list[tuple[Path, str, int]]], seed: int, n_jobs: int) -> Iterator[int]:
    workers = min(worker_count("auto"), 8)
    done = 0
    if workers > 1 and n_jobs >= _MIN_FOR_PROCESSES:
        try:
            # not fork: the parent may show progress from a thread
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                for count in pool.map(_draw_chunk, chunks, repeat(seed)):
                    done += 1
                    yield count
        except BrokenProcessPool:
            pass  # started from a script that cannot be imported again: the rest is drawn here
    for chunk in chunks[done:]:
        yield _draw_chunk(chunk, seed)


def _draw_chunk(jobs: list[tuple[Path, str, int]], seed: int) -> int:
    for file, breed, index in jobs:
        draw_file(file, breed, seed, index)
    return len(jobs)


def draw_file(file: Path, breed: str, seed: int, index: int) -> None:
    """Draw one picture into a new JPEG file; FileExistsError where there is one."""
    from ...demo.draw import draw_dog

    with open(file, "xb") as stream:
        draw_dog(breed, seed=seed, index=index).save(stream, "JPEG", quality=JPEG_QUALITY)


def content(options: PrepareOptions) -> list[str]:
    """What would be drawn, known without drawing."""
    per_class = options.samples_per_class or DEFAULT_PER_CLASS
    return [f"drawn {VERSION} {per_class}", *drawn_classes(options.num_classes)]


def _read(request: SourceRequest) -> Listing:
    breeds = drawn_classes(request.options.num_classes)
    per_class = request.options.samples_per_class or DEFAULT_PER_CLASS

    def on_done(done: int, total: int) -> None:
        request.on_progress("drawing", done, total)

    return draw_listing(request.work / "drawn", breeds, per_class, request.seed, on_done)


DRAWN = Source(
    "drawn",
    "drawn dogs",
    lambda text: "" if text else "no SOURCE was given",
    _read,
    data_folder=lambda text: "dogs",
    origin=lambda text: DRAWN_ORIGIN,
    content=content,
)
