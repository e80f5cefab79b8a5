"""The figures behind each plot of a comparison, as tables: for those who cannot see a plot, and for copying."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..comparison.comparison import Row
from ..files.amounts import duration
from ..files.visible import visible
from .comparison_plots import MIN_IN_BIN, mix_curve
from .figure_table import Table


def against(rows: Sequence[Row], cost: Callable[[Row], float | None], label: str, *, is_time: bool) -> Table:
    """Top-1 and a cost of each row."""
    cells = []
    for row in rows:
        value = cost(row)
        told = "–" if value is None else duration(value) if is_time else f"{value:.2f}"
        cells.append((visible(row.label), told, _percent(row.top1.value, row.top1.low, row.top1.high)))
    return Table(("method", label, "top-1 (95% interval)"), tuple(cells))


def curves(rows: Sequence[Row]) -> Table:
    """Top-1 on val after each epoch, from the start at 0."""
    return _by_step("epoch", {row.label: row.runs[0].course for row in rows if len(row.runs[0].course) > 1})


def mixes(rows: Sequence[Row]) -> Table:
    """Top-1 on val of each mix with the start."""
    return _by_step("alpha", {row.label: curve for row in rows if len(curve := mix_curve(row)) > 1})


def calibration(rows: Sequence[Row]) -> Table:
    """Confidence and accuracy of each bin that the plot shows."""
    cells = []
    for row in rows:
        bins = row.metrics[0].reliability
        for count, sure, right in zip(bins.counts, bins.confidence, bins.accuracy, strict=True):
            if count >= MIN_IN_BIN:
                cells.append((visible(row.label), f"{sure:.1%}", f"{right:.1%}", f"{count:,}"))
    return Table(("method", "confidence", "share right", "images"), tuple(cells))


def classes(rows: Sequence[Row], names: Sequence[str]) -> Table:
    """Share of each class that is right, in the order of the data set."""
    recall = np.array([np.mean([[c.recall for c in m.classes] for m in row.metrics], axis=0) for row in rows])  # (R, C)
    cells = [
        (visible(name), f"{item.support:,}", *(f"{share:.1%}" for share in recall[:, number]))
        for number, (name, item) in enumerate(zip(names, rows[0].metrics[0].classes, strict=True))
    ]
    return Table(("class", "images", *(visible(row.label) for row in rows)), tuple(cells))


def confusion(row: Row, names: Sequence[str]) -> Table:
    """True class, predicted class, images; of the first seed, and what never happens left out."""
    counts = row.metrics[0].confusion
    cells = [
        (visible(names[t]), visible(names[p]), f"{counts[t, p]:,}") for t, p in zip(*np.nonzero(counts), strict=True)
    ]
    return Table(("true", "predicted", "images"), tuple(cells))


def _by_step(heading: str, found: dict[str, list[tuple[float, float]]] | dict[str, list[tuple[int, float]]]) -> Table:
    at = {label: dict(points) for label, points in found.items()}
    steps = sorted({step for points in at.values() for step in points})
    cells = [
        (f"{step:g}", *(f"{points[step]:.1%}" if step in points else "–" for points in at.values()))  # type: ignore[index]
        for step in steps
    ]
    return Table((heading, *(visible(label) for label in at)), tuple(cells))


def _percent(value: float, low: float, high: float) -> str:
    return f"{value:.1%} ({100 * low:.1f} to {100 * high:.1f})"
