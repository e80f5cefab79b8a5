"""The plots of an evaluation's page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..metrics.calibration import Reliability
from ..metrics.coverage import Coverage
from .svg_plots import COLOURS, FAINT, LINES, MARKERS, add_legend, in_percent, new_figure, svg_of

Curve = tuple[str, Sequence[tuple[float, float]]]
"""A name, and points (x, y)."""


def reliability_plot(bins: Reliability, fewest: int) -> Markup | None:
    """Share right against confidence, of bins with at least `fewest` images; None where no bin has so many."""
    some = bins.counts >= fewest
    if not some.any():
        return None
    figure, axes = new_figure(3.4)
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1)
    axes.plot(bins.confidence[some], bins.accuracy[some], lw=1.3, marker="o", ms=6.5, color=COLOURS[2])
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("probability of the first answer")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    in_percent(axes, "share right")
    return svg_of(figure)


def coverage_plot(found: Coverage) -> Markup:
    """Share right among the surest images, against how many of all these are."""
    figure, axes = new_figure(3.4)
    axes.plot(found.share, found.accuracy, lw=1.6, color=COLOURS[2])
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("share of the images answered, the surest first")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    in_percent(axes, "share right")
    return svg_of(figure)


def curves_plot(curves: Sequence[Curve], label: str, *, is_share: bool) -> Markup | None:
    """Curves over epochs; None where none has two points."""
    drawn = [(name, points) for name, points in curves if len(points) > 1]
    if not drawn:
        return None
    figure, axes = new_figure(3.0)
    for i, (name, points) in enumerate(drawn):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, lw=1.6, ls=LINES[i % 8], marker=MARKERS[i % 8], ms=6, color=COLOURS[(i + 1) % 8], label=name)
    axes.set_xlabel("epoch (0: the start)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if is_share:
        in_percent(axes, label)
    else:
        axes.set_ylabel(label)
    add_legend(figure, len(drawn))
    return svg_of(figure)
