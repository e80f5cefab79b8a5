"""compare.json, compare.md and compare.html of one comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from markupsafe import Markup

from ..comparison.comparison import Comparison, Row, ranked_rows
from ..comparison.verdict import p_text, pair_sentences, points, rounded
from ..files.amounts import duration, energy, finite, gib, size
from ..files.places import from_here, handed_on
from ..files.visible import quoted, visible
from ..metrics import HEADLINES
from ..metrics.base import Metric
from ..metrics.intervals import Interval
from . import comparison_plots as plots
from . import comparison_tables as tables
from .disagreements import disagreements
from .figure_table import Table
from .page import render
from .svg_plots import named

RESULTS_FILE, TEXT_FILE, PAGE_FILE = "compare.json", "compare.md", "compare.html"
NO_ENERGY = "energy: not reported by this machine"
HEADINGS = (
    "method",
    *(metric.column for metric in HEADLINES),
    "retention",
    "kept",
    "trainable parameters",
    "training time",
    "images/s",
    "energy",
    "memory, host",
    "memory, device",
    "size on disk",
)


def comparison_files(comparison: Comparison) -> dict[str, bytes]:
    """File name -> content; they are handed on: no absolute path stands in them."""
    runs = (run.path for row in comparison.rows for run in row.runs)
    told = partial(handed_on, places=(comparison.output_dir, comparison.data["data_dir"], *runs))
    text = json.dumps(finite(told(comparison.to_json())), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    shown = replace(comparison, notes=told(comparison.notes))
    files = {RESULTS_FILE: text, TEXT_FILE: comparison_md(shown), PAGE_FILE: comparison_html(shown, told)}
    return {name: content.encode("utf-8", "backslashreplace") for name, content in files.items()}


def cells(row: Row) -> list[str]:
    """One cell a heading of HEADINGS; a dash where nothing was recorded."""
    cost = row.cost
    trainable = f"{cost.trainable_parameters:,} ({cost.trainable_share:.1%})"
    return [
        visible(row.label),
        *(_figure(metric, row) for metric in HEADLINES),
        with_interval(row.retention) if row.retention is not None else "–",
        row.kept,
        trainable,
        duration(cost.train_seconds),
        f"{cost.images_per_second:.0f}" if cost.images_per_second is not None else "–",
        energy_cell(row),
        gib(cost.host_memory_gib),
        gib(cost.device_memory_gib),
        size(cost.artefact_bytes),
    ]


def _figure(metric: Metric, row: Row) -> str:
    """With its interval, or a dash where so few classes say nothing."""
    if len(row.metrics[0].classes) < metric.min_classes:
        return "–"
    figure = row.figures[metric.name]
    if metric.unit == "share":
        return with_interval(figure)
    return f"{metric.text(figure.value)} ({metric.text(figure.low)} to {metric.text(figure.high)})"


def energy_cell(row: Row) -> str:
    """`GPU 3.1 Wh, CPU 0.8 Wh`, or a dash where no counter told: never an estimate."""
    parts = [f"{part.upper()} {energy(joules)}" for part, joules in row.cost.energy_joules.items()]
    return ", ".join(parts) or "–"


def shown_columns(comparison: Comparison) -> list[int]:
    """Positions in HEADINGS that any row has something for."""
    table = [cells(row) for row in comparison.rows]
    return [i for i in range(len(HEADINGS)) if any(row[i] != "–" for row in table)]


def with_interval(interval: Interval) -> str:
    """`81.3% (74.3 to 86.7)`."""
    return f"{interval.value:.1%} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def methods_note(comparison: Comparison) -> str:
    """How the figures were made, in one paragraph."""
    n = comparison.n_seeds
    over = (
        f"{n} seeds a method (what has no random part counts once for all): values are means over the seeds, accuracy"
        " intervals the wider of Wilson's and a bootstrap over images and seeds, others the reach of the images and"
        " that of the seeds' scatter, differences a bootstrap over both;"
        " McNemar's p is twice the median over the seeds (Meinshausen et al. 2009); what was kept is the first seed's. "
        if n > 1
        else "One seed a method: what another seed would change is in no interval. Intervals: Wilson's for shares. "
    )
    corrected = (
        "p-values are adjusted by Holm's method for all pairs, since the best is chosen after looking."
        if comparison.correction == "holm"
        else "p-values are not adjusted for the number of pairs."
    )
    reports_energy = any(row.cost.energy_joules for row in comparison.rows)
    return (
        f"{over}Differences: same images, paired bootstrap (10,000 resamples) and McNemar's exact test; {corrected}"
        " A difference is called shown where the interval leaves out 0 and the adjusted p is below 0.05."
        " ECE is after the temperature each model ships with. Images needed: for 80% power at the difference seen."
        " Features of the pretrained model that an earlier run has kept are read, not computed again: the first run's"
        " time holds them. Memory on the host is the most the process held while training, libraries included."
        + (
            " Energy is what the machine's own counters say of the time of the run (GPU: NVML; CPU packages: RAPL),"
            " other work on it included."
            if reports_energy
            else f" {NO_ENERGY.capitalize()}, which has no counters for it."
        )
    )


def comparison_md(comparison: Comparison) -> str:
    """For a README or an issue: table, verdict, pairs."""
    columns = shown_columns(comparison)
    lines = [f"# Comparison on {comparison.split}", ""]
    lines += [f"{_md(subtitle(comparison))}", "", "## Verdict", ""]
    lines += [f"- {_md(sentence)}" for sentence in comparison.verdict]
    lines += ["", "## Methods", "", _md_row([HEADINGS[i] for i in columns]), "|" + "---|" * len(columns)]
    lines += [_md_row([cells(row)[i] for i in columns]) for row in comparison.rows]
    lines += ["", "## Pairs", "", _md_row(["pair", "difference", "p", "p, adjusted", "shown", "images needed"])]
    lines += ["|" + "---|" * 6]
    for pair in comparison.pairs:
        needed = "–" if pair.is_shown or pair.images_needed is None else f"about {rounded(pair.images_needed):,}"
        names = f"{visible(pair.first)} minus {visible(pair.second)}"
        adjusted = p_text(pair.p_adjusted)
        cell = [names, points(pair.difference), p_text(pair.p), adjusted, "yes" if pair.is_shown else "no", needed]
        lines.append(_md_row(cell))
    lines += ["", *(f"Note: {_md(visible(note))}\n" for note in comparison.notes), _md(methods_note(comparison)), ""]
    return "\n".join(lines)


def comparison_html(comparison: Comparison, told: Callable[[str], str]) -> str:
    """One page that needs nothing else: styles, plots and images are inside; `told` says a path as the page may."""
    rows, order = comparison.rows, ranked_rows(comparison.rows)
    names = [readable for _, readable in comparison.class_names]
    images, n_differ = disagreements(rows, order, comparison.labels, names, comparison.paths)
    columns = shown_columns(comparison)
    in_pairs = pair_sentences(rows, comparison.pairs, comparison.correction)
    return render(
        "compare.html.j2",
        comparison=comparison,
        subtitle=subtitle(comparison),
        headings=[HEADINGS[i] for i in columns],
        table=[[cells(row)[i] for i in columns] for row in rows],
        rows=rows,
        best=order[0].label,
        markers=[plots.marker(i) for i in range(len(rows))],
        figures=_figures(rows, names),
        in_short=[sentence for sentence in comparison.verdict if sentence not in in_pairs],
        in_pairs=in_pairs,
        glossary=GLOSSARY,
        command=told(next_command(comparison)),
        named=named,
        confusions=[
            (row, plots.confusion(row, names), row.metrics[0].most_confused(5), tables.confusion(row, names))
            for row in order
        ],
        images=images,
        n_differ=n_differ,
        methods_note=methods_note(comparison),
        visible=visible,
        told=told,
        points=points,
        p_text=p_text,
        rounded=rounded,
    )


def subtitle(comparison: Comparison) -> str:
    """What was compared on what."""
    n = comparison.n_seeds
    return (
        f"{visible(str(comparison.data['data_name']))}: {len(comparison.labels):,} images of {comparison.split},"
        f" {len(comparison.class_names)} classes; {n} seed{'s' if n > 1 else ''} a method; {comparison.device}"
    )


def next_command(comparison: Comparison) -> str:
    """What to type next, as it can be pasted: an image on which the methods disagree, else the first."""
    first = comparison.rows[0].answers
    row = comparison.recommended or ranked_rows(comparison.rows)[0]
    differing = (
        path
        for number, path in enumerate(comparison.paths)
        if any(other.answers[number] != first[number] for other in comparison.rows)
    )
    image = next(differing, comparison.paths[0])
    checkpoint = from_here(Path(row.runs[0].path))
    return f"clipft predict {quoted(str(from_here(Path(image))))} --checkpoint {quoted(str(checkpoint))}"


def _figures(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[str, Markup, str, Table]]:
    """(title, plot, what it says, the figures as a table) of every plot there is something for."""
    is_device = any(row.cost.device_memory_gib is not None for row in rows)
    memory = "peak memory of the device, GiB" if is_device else "peak memory of the host, GiB"
    time = "time of the whole run"

    def gib_of(row: Row) -> float | None:
        return row.cost.device_memory_gib if is_device else row.cost.host_memory_gib

    def seconds_of(row: Row) -> float | None:
        return row.cost.train_seconds

    found = [
        (
            "Accuracy against time",
            plots.accuracy_against(rows, seconds_of, time, is_time=True),
            "Up and left is better. Bars are 95% intervals.",
            tables.against(rows, seconds_of, time, is_time=True),
        ),
        (
            "Accuracy against memory",
            plots.accuracy_against(rows, gib_of, memory, is_time=False),
            "Up and left is better. Bars are 95% intervals.",
            tables.against(rows, gib_of, memory, is_time=False),
        ),
        (
            "Learning curves",
            plots.learning_curves(rows),
            "On val, after each epoch, the first seed. Epoch 0 is what the run started from.",
            tables.curves(rows),
        ),
        (
            "Mix with the start (WiSE-FT)",
            plots.alpha_curves(rows),
            "On val. A curve that peaks before 1: some of the start was worth keeping.",
            tables.mixes(rows),
        ),
        (
            "Calibration",
            plots.calibration(rows),
            "On the line: a probability means what it says. Below it: too sure of itself. Bins of 5 images or more.",
            tables.calibration(rows),
        ),
        (
            "Classes",
            plots.class_differences(rows),
            "Share of each class that is right (images of it). Where the methods differ most comes first.",
            tables.classes(rows, names),
        ),
    ]
    return [(title, plot, text, table) for title, plot, text, table in found if plot is not None]


GLOSSARY = (
    ("top-1", "the share of images whose true class comes first"),
    ("balanced", "the mean over classes of the share that is right: a rare class counts as much as a frequent one"),
    ("macro-F1", "the mean over classes of F1, which punishes both images missed and images taken in wrongly"),
    ("ECE", "how far probabilities are from the share that is right, on average (expected calibration error)"),
    ("95% interval", "other images of the same kind would give a figure in it 95 times out of 100"),
    ("points", "percentage points: 80% to 85% are 5 points"),
    ("p, Holm", "the chance of a difference as large where there is none, adjusted for looking at several pairs"),
    ("shown", "both the interval and the adjusted p say that the two differ"),
    ("images needed", "images that would show a difference of the size seen, four times out of five"),
    (
        "kept",
        "what became the model: an epoch, a soup (mean) of epochs, a mix with the start (alpha), the start itself",
    ),
    ("start", "what a run begins with: the class prompts (zero-shot), or a linear probe where that is better on val"),
    ("retention", "zero-shot accuracy on another data set, which fine-tuning can cost"),
)
"""Each term of the page with what it means."""


def _md(text: str) -> str:
    """Escaped where Markdown would act on it: not within a word as in zero_shot, nor a lone `<`."""
    return re.sub(r"([\\`*\[\]>|#&]|<(?! )|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)


def _md_row(items: Sequence[str]) -> str:
    return "| " + " | ".join(_md(item) for item in items) + " |"
