"""The plots of a comparison; its rows are told apart by colour and by shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ..comparison.comparison import Row
from ..files.amounts import duration
from ..files.visible import shortened, visible
from .svg_plots import (
    COLOURS,
    FAINT,
    INK,
    LINES,
    MARKERS,
    WIDTH,
    add_legend,
    in_percent,
    new_figure,
    page_style,
    svg_of,
)

N_CLASSES = 24
MIN_IN_BIN = 5
MAX_NAMED = 60
"""Classes up to which a confusion matrix names them and writes its counts."""


def accuracy_against(rows: Sequence[Row], cost: Callable[[Row], float | None], label: str, *, is_time: bool) -> Markup:
    """Top-1 with its interval over a cost, on a logarithmic axis where costs are far apart."""
    known = [(i, row, value) for i, row in enumerate(rows) if (value := cost(row)) is not None]
    figure, axes = new_figure(3.1)
    for i, row, value in known:
        style = _style_of(i)
        around = np.clip([[row.top1.value - row.top1.low], [row.top1.high - row.top1.value]], 0, None)
        axes.errorbar([value], [row.top1.value], yerr=around, lw=1, capsize=3, ls="none", label=_name(row), **style)
    values = [value for *_, value in known]
    if is_time and values and min(values) > 0 and max(values) > 8 * min(values):
        axes.set_xscale("log")
        is_far = max(values) > 200 * min(values)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1,) if is_far else (1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(values) / 1.8, max(values) * 1.8)
    else:
        axes.margins(x=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if is_time:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    in_percent(axes, "top-1")
    add_legend(figure, len(known))
    return svg_of(figure)


def alpha_curves(rows: Sequence[Row]) -> Markup | None:
    """Top-1 on val against the share of the fine-tuned weights (WiSE-FT); None where no run has swept it."""
    figure, axes = new_figure(3.0)
    n = 0
    for i, row in enumerate(rows):
        curve = mix_curve(row)
        if len(curve) > 1:
            alphas, values = zip(*curve, strict=True)
            axes.plot(alphas, values, lw=1.6, ls=LINES[i % 8], label=_name(row), **_style_of(i))
            n += 1
    if not n:
        return None
    axes.set_xlabel("alpha: 0 the start, 1 fine-tuned")
    in_percent(axes, "top-1 on val")
    add_legend(figure, n)
    return svg_of(figure)


def learning_curves(rows: Sequence[Row]) -> Markup | None:
    """Top-1 on val after each epoch; None where no run has epochs."""
    figure, axes = new_figure(3.0)
    n = 0
    for i, row in enumerate(rows):
        points = row.runs[0].course
        if len(points) > 1:
            epochs, values = zip(*points, strict=True)
            axes.plot(epochs, values, lw=1.6, ls=LINES[i % 8], label=_name(row), **_style_of(i))
            n += 1
    if not n:
        return None
    axes.set_xlabel("epoch (0: what the run started from)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    in_percent(axes, "top-1 on val")
    add_legend(figure, n)
    return svg_of(figure)


def calibration(rows: Sequence[Row]) -> Markup | None:
    """Accuracy against confidence in the bins that hold at least 5 images, None where none does; the diagonal is
    honest."""
    if not any((row.metrics[0].reliability.counts >= MIN_IN_BIN).any() for row in rows):
        return None
    figure, axes = new_figure(3.6)
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1)
    for i, row in enumerate(rows):
        bins = row.metrics[0].reliability
        some = bins.counts >= MIN_IN_BIN
        axes.plot(bins.confidence[some], bins.accuracy[some], lw=1.3, ls=LINES[i % 8], label=_name(row), **_style_of(i))
    axes.set_xlabel("confidence")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    in_percent(axes, "share right")
    add_legend(figure, len(rows))
    return svg_of(figure)


def class_differences(rows: Sequence[Row]) -> Markup:
    """Recall of each class under every row; the classes on which the rows differ most come first."""
    recall = np.array([np.mean([[c.recall for c in m.classes] for m in row.metrics], axis=0) for row in rows])  # (R, C)
    support = np.array([c.support for c in rows[0].metrics[0].classes])
    spread = np.where(support > 0, np.ptp(recall, axis=0), -1)
    order = [c for c in np.argsort(-spread, kind="stable") if support[c] > 0][:N_CLASSES]
    figure, axes = new_figure(1.3 + 0.36 * len(order))
    names = [c.readable for c in rows[0].metrics[0].classes]
    y = np.arange(len(order))
    axes.hlines(y, recall[:, order].min(axis=0), recall[:, order].max(axis=0), color=FAINT, lw=2)
    for i, row in enumerate(rows):
        shift = 0.5 * (i - (len(rows) - 1) / 2) / len(rows)  # equal values stay visible
        axes.plot(recall[i, order], y + shift, ls="none", label=_name(row), **_style_of(i))
    labels = [f"{shortened(visible(names[c]), 20)} ({support[c]})" for c in order]
    axes.set_yticks(y, labels, parse_math=False)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_xlabel("share right")
    add_legend(figure, len(rows))
    return svg_of(figure)


def confusion(row: Row, names: Sequence[str]) -> Markup:
    """Rows true, columns predicted; shade is the share of the row, numbers are images."""
    counts = row.metrics[0].confusion
    n = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_large = 14 < n <= MAX_NAMED  # as wide as its names need: the page lets it scroll
    width = max(WIDTH, 1.6 + 0.21 * n) if is_large else WIDTH
    figure, axes = new_figure(width if is_large else 4.4, width)
    shade = np.zeros((n, n, 4))
    shade[..., 0], shade[..., 1], shade[..., 2] = 0.25, 0.5, 0.85
    shade[..., 3] = 0.85 * np.sqrt(shares)
    axes.imshow(shade, interpolation="nearest")
    if n <= MAX_NAMED:
        for t, p in zip(*np.nonzero(counts), strict=True):
            axes.text(p, t, str(counts[t, p]), ha="center", va="center", fontsize=9 if n <= 14 else 8, color=INK)
    if n <= MAX_NAMED:
        labels = [shortened(visible(name), 16) for name in names]
        size = 9
        axes.set_xticks(np.arange(n), labels, rotation=90, fontsize=size, parse_math=False)
        axes.set_yticks(np.arange(n), labels, fontsize=size, parse_math=False)
    axes.grid(visible=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    drawn = svg_of(figure)
    if not is_large:
        return drawn
    wide = f'class="plot large" style="--width: {96 * width:.0f}px"'
    return Markup(str(drawn).replace('class="plot"', wide, 1))


def marker(i: int) -> Markup:
    """The shape and colour of row i as the symbol `row-i`, used by tables and lists."""
    with page_style():
        figure = Figure(figsize=(0.2, 0.2))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.plot([0], [0], ls="none", **_style_of(i))
    drawn = re.sub(r"<svg[^>]*?viewBox", f'<symbol id="row-{i}" viewBox', svg_of(figure), count=1)
    return Markup(drawn.replace("</svg>", "</symbol>"))


def mix_curve(row: Row) -> list[tuple[float, float]]:
    """(alpha, top-1 on val) of each mix that the first seed's run measured; empty where it measured none."""
    found = row.runs[0].summary.get("alpha_curve")
    try:
        return [(float(alpha), float(value)) for alpha, value in found or ()]
    except (TypeError, ValueError):
        return []


def _name(row: Row) -> str:
    name = shortened(visible(row.label), 22)
    return f" {name}" if name.startswith("_") else name  # matplotlib hides labels that start with an underscore


def _style_of(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % 8], "marker": MARKERS[i % 8], "ms": 6.5 if i % 8 != 7 else 9, "mec": COLOURS[i % 8]}
