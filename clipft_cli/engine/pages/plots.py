"""The two pictures of an evaluation, readable from 2 classes to hundreds, and without colour."""

from __future__ import annotations

import io
import math
import warnings

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ..metrics.metrics import ClassMetrics, Metrics
from .plot_text import UNWRITABLE_NOTE, font_families, is_by_number, plot_labels

DPI = 120
MAX_LABELLED = 200
MAX_SHOWN = 240
ROWS_A_PANEL = 40
_BAR, _PRECISION, _RECALL = "#9db7d5", "#b3541e", "#1b3a5c"


def confusion_png(metrics: Metrics, title: str) -> bytes:
    """Rows are true classes, columns predictions; shade is the share of the row, numbers are images."""
    n = len(metrics.classes)
    shares = metrics.confusion / np.maximum(metrics.confusion.sum(axis=1, keepdims=True), 1)
    cell = 0.62 if n <= 12 else 0.34 if n <= 45 else 0.17 if n <= MAX_LABELLED else 26 / n  # inches
    labels = plot_labels([item.readable for item in metrics.classes], 28 if n <= 45 else 24)
    side = max(3.4, n * cell)
    with _style():
        figure = Figure(figsize=(side + (3.6 if n <= 45 else 4.6), side + 2.8), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        # a square root between share and shade keeps rare mistakes visible
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        _tick_names(axes, labels, 10 if n <= 12 else 8.5 if n <= 45 else 7)
        if n <= 45:
            _write_counts(axes, metrics.confusion, shares, 11 if n <= 12 else 7.5)
        _grid(axes, n)
        axes.set_title(title, loc="left", fontsize=12 if n <= 45 else 20, parse_math=False)
        axes.set_xlabel("predicted", fontsize=10 if n <= 45 else 16)
        axes.set_ylabel("true", fontsize=10 if n <= 45 else 16)
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015, shrink=min(1.0, 6 / side))
        bar.set_label("share of the true class")
        bar.set_ticks([0, 0.05, 0.25, 0.5, 1], labels=["0%", "5%", "25%", "50%", "100%"])
        _foot(figure, labels)
        return _png(figure)


def class_performance_png(metrics: Metrics, title: str) -> bytes:
    """One row a class, the worst F1 first: bar F1, cross precision, dot recall with its 95% interval."""
    present = [item for item in metrics.classes if item.support]
    order = sorted(present, key=lambda item: (item.f1, item.recall, item.name))
    left_out = len(order) - MAX_SHOWN
    if left_out > 0:
        order = order[:MAX_SHOWN]
        title += f" (the {MAX_SHOWN} worst of {len(present)} classes)"
    numbers = {item.name: number for number, item in enumerate(metrics.classes)}
    all_labels = plot_labels([item.readable for item in metrics.classes])
    labels = [f"{all_labels[numbers[item.name]]}  ({item.support})" for item in order]
    n_panels = math.ceil(len(order) / ROWS_A_PANEL)
    n_rows = math.ceil(len(order) / n_panels)
    with _style():
        size = (max(8.0, 6.2 * n_panels), 1.9 + max(2, n_rows) * 0.27)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        panels = figure.subplots(1, n_panels, squeeze=False)[0]
        for number, axes in enumerate(panels):
            part = slice(number * n_rows, (number + 1) * n_rows)
            _class_rows(axes, order[part], labels[part], n_rows)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, parse_math=False)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=len(names), frameon=False)
        if is_by_number(labels):
            panels[0].set_xlabel(UNWRITABLE_NOTE, fontsize=8, loc="left")
        return _png(figure)


def _class_rows(axes: Axes, items: list[ClassMetrics], labels: list[str], n_rows: int) -> None:
    rows = np.arange(len(items))
    recall = np.array([item.recall for item in items])
    around = np.abs(np.array([[item.recall_low, item.recall_high] for item in items]).T - recall)  # (2, n)
    axes.barh(rows, [item.f1 for item in items], height=0.72, color=_BAR, label="F1")
    axes.errorbar(
        recall, rows, xerr=around, fmt="o", ms=4, lw=1, capsize=2, color=_RECALL, label="recall, 95% interval"
    )
    axes.plot([item.precision for item in items], rows, "x", ms=6, mew=1.6, color=_PRECISION, label="precision")
    axes.set_yticks(rows, labels, fontsize=9, parse_math=False)
    axes.set_ylim(n_rows - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    axes.set_xticks(np.linspace(0, 1, 6), ["0%", "20%", "40%", "60%", "80%", "100%"])
    axes.grid(axis="x", color="#dddddd", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _tick_names(axes: Axes, labels: list[str], size: float) -> None:
    n = len(labels)
    if n > MAX_LABELLED:
        shown = np.arange(0, n, math.ceil(n / 50))
        axes.set_xticks(shown, [str(i) for i in shown], fontsize=8, rotation=90)
        axes.set_yticks(shown, [str(i) for i in shown], fontsize=8)
        return
    axes.set_xticks(np.arange(n), labels, fontsize=size, rotation=90, parse_math=False)
    axes.set_yticks(np.arange(n), labels, fontsize=size, parse_math=False)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, size: float) -> None:
    for t, p in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[t, p] > 0.4 else "black"
        axes.text(p, t, f"{counts[t, p]}", ha="center", va="center", fontsize=size, color=color)


def _grid(axes: Axes, n: int) -> None:
    if n > MAX_LABELLED:
        return
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e4e4e4", lw=0.5)
    axes.tick_params(which="minor", length=0)


def _foot(figure: Figure, labels: list[str]) -> None:
    if is_by_number(labels):
        figure.supxlabel(UNWRITABLE_NOTE, fontsize=8, x=0.01, ha="left")


def _style():  # type: ignore[no-untyped-def]
    return mpl.rc_context({"font.family": font_families(), "axes.edgecolor": "#888888", "text.parse_math": False})


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fonts and layouts: nothing a person can act on
        FigureCanvasAgg(figure)
        # tight: long names push labels over the edge of a figure that only wants to be square
        figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15, metadata={"Software": None})
    return buffer.getvalue()
