"""evaluation_report.txt: the whole evaluation for a person, in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..files.visible import display_width, padded, visible
from ..metrics.intervals import Interval
from ..metrics.metrics import ClassMetrics, Metrics

NAME_WIDTH = 36
N_CONFUSIONS = 20
METHODS_NOTE = (
    "Shares have Wilson's 95% interval; macro-F1 a bootstrap within classes, ECE a bootstrap that allows for its",
    "bias (1,000 resamples, seeded). ECE: 15 bins of equal width. Macro means: over classes with images.",
)


def report_text(
    title: str,
    facts: Mapping[str, str],
    metrics: Metrics,
    unreadable: Sequence[tuple[str, str]],
    notes: Sequence[str],
) -> str:
    """The report. `facts` are label -> value lines, `unreadable` (path, reason) of images left out."""
    lines = [title, "=" * display_width(title), ""]
    lines += [f"{padded(label, 14)} {visible(value)}" for label, value in facts.items()]
    lines += ["", *(f"note: {visible(note)}" for note in notes), *([""] if notes else [])]
    lines += [*_summary(metrics), "", *METHODS_NOTE, ""]
    lines += _classes(metrics.classes)
    lines += _confusions(metrics)
    lines += _unreadable(unreadable)
    return "\n".join(lines) + "\n"


def percent(share: float) -> str:
    """A share in 0..1 as `81.3%`."""
    return f"{100 * share:.1f}%"


def interval_text(interval: Interval) -> str:
    """`81.3%  (95% interval 74.3% to 86.7%)`."""
    return f"{percent(interval.value)}  (95% interval {percent(interval.low)} to {percent(interval.high)})"


def _summary(metrics: Metrics) -> list[str]:
    n_top = min(5, len(metrics.classes))
    rows = [
        ("top-1 accuracy", interval_text(metrics.top1)),
        (f"top-{n_top} accuracy", interval_text(metrics.top5)),
        ("macro-F1", interval_text(metrics.macro_f1)),
        ("macro precision", percent(metrics.macro_precision)),
        ("macro recall", percent(metrics.macro_recall)),
        ("ECE", interval_text(metrics.ece)),
        ("mean confidence", percent(metrics.mean_confidence)),
        ("NLL", f"{metrics.nll:.4f} nats"),
    ]
    return [f"{padded(label, 18)} {value}" for label, value in rows]


def _classes(classes: Iterable[ClassMetrics]) -> list[str]:
    heading = f"{'#':>4}  {padded('class', NAME_WIDTH)} {'images':>6} {'precision':>10} {'recall':>8} {'F1':>8}"
    lines = [heading + "  recall's 95% interval", "-" * (len(heading) + 23)]
    for number, item in enumerate(classes):
        lead = f"{number:>4}  {padded(visible(item.readable), NAME_WIDTH)} {item.support:>6}"
        if not item.support:
            lines.append(f"{lead}  no images in this split")
            continue
        figures = f"{percent(item.precision):>10} {percent(item.recall):>8} {percent(item.f1):>8}"
        lines.append(f"{lead} {figures}  {percent(item.recall_low)} to {percent(item.recall_high)}")
    return [*lines, ""]


def _confusions(metrics: Metrics) -> list[str]:
    found = metrics.most_confused(N_CONFUSIONS)
    if not found:
        return ["Every image was classified rightly.", ""]
    lines = ["Most frequent mistakes (images, share of the true class, true -> predicted)"]
    for item in found:
        lines.append(f"{item.count:>6} {percent(item.share):>7}  {visible(item.true)} -> {visible(item.predicted)}")
    return [*lines, ""]


def _unreadable(unreadable: Sequence[tuple[str, str]]) -> list[str]:
    if not unreadable:
        return []
    head = f"Images that could not be read, in no figure above ({len(unreadable)})"
    return [head, *(f"  {visible(path)}: {visible(reason)}" for path, reason in unreadable), ""]
