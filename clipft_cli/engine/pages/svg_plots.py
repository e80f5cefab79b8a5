"""Plots as SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

import hashlib
import io
import re
import warnings

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

INK, FAINT = "#010101", "#020202"
COLOURS = [f"#0a000{i}" for i in range(8)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2))]
WIDTH = 4.5
"""Inches: about the width of a phone at full size, so that text stays readable there."""


def named(plot: Markup, name: str) -> Markup:
    """`plot` with a name for those who cannot see it."""
    return Markup(plot.replace("<svg ", Markup('<svg aria-label="{}" ').format(name), 1))


def new_figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty plot, sizes in inches."""
    with page_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def in_percent(axes: Axes, label: str) -> None:
    """The upright axis in percent."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_ylabel(label)


def add_legend(figure: Figure, n: int) -> None:
    """A legend of `n` names above the plot."""
    with page_style():
        legend = figure.legend(loc="outside upper left", ncols=2 if n > 1 else 1, frameon=False, fontsize=11)
    for text in legend.get_texts():
        text.set_parse_math(False)


def page_style():  # type: ignore[no-untyped-def]
    """What is drawn in it takes the colours of the page."""
    return mpl.rc_context(
        {
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "svg.fonttype": "none",
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "font.size": 11.5,
            "text.parse_math": False,
            "savefig.facecolor": "none",
        }
    )


def svg_of(figure: Figure) -> Markup:
    """The figure as an element of a page: no prologue, no outside names, colours by the page's variables."""
    buffer = io.StringIO()
    with warnings.catch_warnings(), page_style(), mpl.rc_context({"svg.hashsalt": "clipft"}):
        warnings.simplefilter("ignore")  # fonts: the browser has its own
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\s+id="(figure|axes|patch|line2d|text|matplotlib|xtick|ytick|legend|PolyCollection|'
                  r'PathCollection|LineCollection|QuadMesh)[._][^"]*"', "", text)  # fmt: skip
    text = re.sub(r'style="[^"]*"', lambda found: _page_colours(found[0]), text)
    text = re.sub(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg class="plot" role="img" \1>', text, count=1)
    own = hashlib.sha256(text.encode()).hexdigest()[:8]  # two plots of a page share no name; the same plot has the same
    return Markup(re.sub(r'(id="|url\(#|href="#)([A-Za-z][\w-]*)', rf"\1\2-{own}", text))


def _page_colours(style: str) -> str:
    style = style.replace(INK, "var(--ink)").replace(FAINT, "var(--line)")
    style = re.sub(r"#0a000(\d)", r"var(--m\1)", style)
    return re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", style)
