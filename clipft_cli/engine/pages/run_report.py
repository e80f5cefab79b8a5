"""`report.html`: what a model is good for and what it gets wrong, on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ..files.amounts import count
from ..files.visible import visible
from ..metrics.answers import Answers
from ..metrics.coverage import coverage, decided, threshold_for
from ..metrics.metrics import ClassMetrics, Metrics
from ..metrics.scores import Scores
from . import report_plots as plots
from .confused_classes import Block, confused_block
from .evaluation import Evaluation
from .figure_table import Table
from .page import render
from .shown_images import mistakes, unsure
from .svg_plots import named
from .text_report import percent

FEWEST_IN_BIN = 5
MAX_INTERVAL = 0.4
"""Width of the 95% interval of a class's recall from which its images are too few to say anything of it."""
ALONE = 0.99
WELL_CALIBRATED = 0.03
MANY_ROWS = 1000
"""Classes whose figures are in the table; of more the worst are."""


@dataclass(frozen=True)
class Shown:
    """What the page shows beside the figures: the files of the scored images, the rows of the run's metrics.jsonl,
    and the scores of val of the same checkpoint, where there are any."""

    files: Sequence[Path]
    history: Sequence[Mapping[str, Any]] = ()
    val: Scores | None = None


def run_report(evaluation: Evaluation, shown: Shown) -> str:
    """The page. Its size does not grow with the images: of mistakes at most 60 are shown."""
    metrics, scores = evaluation.metrics, evaluation.scores
    answers = Answers(scores.logits, scores.labels, evaluation.temperature)
    names = [visible(item.readable) for item in metrics.classes]
    wrong = mistakes(answers, shown.files)
    block = confused_block(metrics.confusion)
    rows = sorted((item for item in metrics.classes if item.support), key=lambda item: (item.recall, item.name))
    return render(
        "report.html.j2",
        title=f"What is {evaluation.facts['label']} good for on {evaluation.facts['data_name']}?",
        subtitle=_subtitle(evaluation),
        sentences=[_accuracy(metrics, evaluation.split), _confusion(metrics), _belief(metrics, answers)],
        alone=_alone(answers, shown.val, evaluation),
        notes=evaluation.notes,
        names=names,
        mistakes=wrong,
        n_mistakes=int((~answers.is_right).sum()),
        unsure=unsure(answers, shown.files),
        block=block,
        cells=_cells(metrics.confusion, block, {(look.true, look.predicted) for look in wrong}),
        figures=_figures(metrics, answers, shown.history),
        classes=rows[:MANY_ROWS],
        n_classes=len(rows),
        is_too_few=_is_too_few,
        facts=evaluation.facts,
        split=evaluation.split,
        named=named,
        percent=percent,
        count=count,
    )


def _subtitle(evaluation: Evaluation) -> str:
    facts, metrics = evaluation.facts, evaluation.metrics
    return (
        f"{count(metrics.n_images, 'image')} of {evaluation.split},"
        f" {count(len(metrics.classes), 'class', 'classes')}; {facts['model']}; {facts['device']}, {facts['precision']}"
    )


def _accuracy(metrics: Metrics, split: str) -> str:
    most = max(item.support for item in metrics.classes)
    top1 = metrics.top1
    return (
        f"It is right on {percent(top1.value)} of {count(metrics.n_images, 'image')} of {split}; on other images of the"
        f" same kind {percent(top1.low)} to {percent(top1.high)} are to be expected. Always naming the most frequent"
        f" class would be right on {percent(most / metrics.n_images)}."
    )


def _confusion(metrics: Metrics) -> str:
    confused = metrics.most_confused(2)
    if not confused:
        return "It made no mistake on these images, which says little of images of other kinds."
    told = [
        f"{visible(one.true)} for {visible(one.predicted)} ({count(one.count, 'image')}, {one.share:.0%} of its class)"
        for one in confused
    ]
    return f"What it mixes up most: it takes {', and '.join(told)}."


def _belief(metrics: Metrics, answers: Answers) -> str:
    """Whether probabilities are to be believed, in points of the expected calibration error and its direction."""
    ece = metrics.figures["ece"]
    says, is_so = float(answers.confidence.mean()), metrics.top1.value
    lead = f"On average it says {says:.0%}, and is right on {is_so:.0%}"
    if ece.value <= WELL_CALIBRATED:
        return f"{lead}: its probabilities can be believed, they are off by {percent(ece.value)} on average (ECE)."
    if ece.low == 0:
        return (
            f"{lead}. {count(metrics.n_images, 'image is', 'images are')} too few to say that its probabilities cannot"
            f" be believed: chance alone can put them off by {percent(ece.value)} (ECE)."
        )
    how = "too sure of itself" if says > is_so + 0.01 else "less sure than it could be" if says < is_so - 0.01 else None
    told = f"it is {how}" if how else "too sure of some images and not sure enough of others"
    return f"{lead}: {told}, and a probability is off by {percent(ece.value)} on average (ECE)."


def _alone(answers: Answers, val: Scores | None, evaluation: Evaluation) -> str:
    """How many images it may decide alone: by a threshold that other images have chosen, where there are such."""
    of_val = Answers(val.logits, val.labels, evaluation.temperature) if val is not None else answers
    threshold = threshold_for(of_val.confidence, of_val.is_right, ALONE)
    chosen = f"chosen on {count(len(of_val.labels), 'image')} of val" if val is not None else "chosen on these images"
    if threshold is None:
        return f"No probability is high enough for {ALONE:.0%} of its answers to be right ({chosen})."
    found = decided(answers.confidence, answers.is_right, threshold)
    if found is None:
        return f"From a probability of {threshold:.1%} ({chosen}) it may decide alone: that is none of these images."
    share, right = found
    told = (
        f"From a probability of {threshold:.1%} it may decide alone ({chosen}, so that {ALONE:.0%} are right there):"
        f" that is {percent(share.value)} of these images, of which {percent(right.value)} are right"
        f" ({percent(right.low)} to {percent(right.high)})."
    )
    if val is None and evaluation.split == "test":
        told += " Evaluate val too, then this page anew: a threshold that these images chose looks better than it is."
    return told


def _is_too_few(item: ClassMetrics) -> bool:
    return item.recall_high - item.recall_low > MAX_INTERVAL


def _cells(confusion: np.ndarray, block: Block, with_picture: set[tuple[int, int]]) -> list[list[dict[str, Any]]]:
    """Rows of the table: of each cell the number, its shade in percent, and the pair where a picture of it is shown."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return [
        [
            {
                "n": int(confusion[t, p]),
                "shade": round(85 * float(shares[t, p]) ** 0.5),
                "is_right": t == p,
                "pair": f"{t}-{p}" if (t, p) in with_picture else "",
            }
            for p in block.classes
        ]
        for t in block.classes
    ]


def _figures(
    metrics: Metrics, answers: Answers, history: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Markup, str, Table]]:
    """Title, plot, what it says, and the figures behind it."""
    bins, sure = metrics.reliability, coverage(answers.confidence, answers.is_right)
    steps = [int(np.searchsorted(sure.share, share)) for share in np.linspace(0.1, 1, 10)]
    some = np.flatnonzero(bins.counts >= FEWEST_IN_BIN)
    trained = [row for row in history if isinstance(row.get("val_loss"), float)]
    begun = [row for row in trained if row["epoch"] == 0][-1:]
    rows = [*begun, *(row for row in trained if row["epoch"] > 0)]
    found = [
        (
            "Can its probabilities be believed?",
            plots.reliability_plot(bins, FEWEST_IN_BIN),
            f"On the line: a probability means what it says. Bins of {FEWEST_IN_BIN} images or more.",
            Table(
                ("probability", "share right", "images"),
                tuple((f"{bins.confidence[b]:.1%}", f"{bins.accuracy[b]:.1%}", f"{bins.counts[b]:,}") for b in some),
            ),
        ),
        (
            "How right is it, where it answers only what it is sure of?",
            plots.coverage_plot(sure),
            "From left to right it answers more of the images, the surest first.",
            Table(
                ("share answered", "share right", "least probability"),
                tuple((f"{sure.share[i]:.0%}", f"{sure.accuracy[i]:.1%}", f"{sure.confidence[i]:.1%}") for i in steps),
            ),
        ),
        (
            "Loss",
            plots.curves_plot(
                [("train", _points(rows, "train_loss")), ("val", _points(rows, "val_loss"))], "loss", is_share=False
            ),
            "After each epoch. A loss on val that rises while that on train falls is learnt by heart.",
            _table_of(rows, {"train": "train_loss", "val": "val_loss"}, "{:.4f}"),
        ),
        (
            "Accuracy on val",
            plots.curves_plot(
                [("top-1", _points(rows, "val_top1")), ("macro-F1", _points(rows, "val_macro_f1"))],
                "on val",
                is_share=True,
            ),
            "After each epoch, from what the run began with.",
            _table_of(rows, {"top-1": "val_top1", "macro-F1": "val_macro_f1"}, "{:.1%}"),
        ),
    ]
    return [(title, plot, text, table) for title, plot, text, table in found if plot is not None]


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(float(row["epoch"]), row[key]) for row in rows if isinstance(row.get(key), float)]


def _table_of(rows: Sequence[Mapping[str, Any]], keys: Mapping[str, str], form: str) -> Table:
    cells = (
        (
            str(row["epoch"]),
            *(form.format(row[key]) if isinstance(row.get(key), float) else "–" for key in keys.values()),
        )
        for row in rows
    )
    return Table(("epoch", *keys), tuple(cells))
