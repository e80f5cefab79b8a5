"""The table of a comparison: every contender measured on the same images."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...config.compare import CompareConfig
from ..events import OnEvent
from ..images.loader import Loader
from ..machine.hardware import worker_count
from ..manifest import Manifest, Row
from ..model.precision import set_up
from .comparison import Row as TableRow
from .comparison import build_row
from .contenders import Contender
from .finished_run import FinishedRun
from .measured_run import Measurer


def measure_all(
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
    labels = labels_of(rows, measurer)
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


def labels_of(rows: Sequence[Row], measurer: Measurer) -> np.ndarray:
    """(N,) of the images that could be read."""
    return np.array([row.label for i, row in enumerate(rows) if i not in measurer.bad], dtype=np.int64)


def _first(item: Contender, n_seeds: int) -> dict[int, FinishedRun]:
    present = [seed for seed in item.seeds if seed in item.runs]
    return {seed: item.runs[seed] for seed in present[:n_seeds]}
