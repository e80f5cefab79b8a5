"""evaluation_report.txt: the whole evaluation for a person, in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..files.visible import display_width, padded, visible
from ..metrics.metrics import ClassMetrics, Metrics

NAME_WIDTH = 36
N_CONFUSIONS = 20
METHODS_NOTE = (
    "95% intervals: Wilson's for shares of images, Student's for means over images; for means over classes Student's",
    "on the logit scale with the spread of a bootstrap within the classes, for ECE a bootstrap that allows for its",
    "bias (1,000 resamples, seeded). In simulations they hold the truth 90 to 99 times in 100. ECE: 15 equal bins.",
    "Means over classes: those with images. Balanced accuracy is macro recall.",
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


def _summary(metrics: Metrics) -> list[str]:
    return [f"{padded(metric.title, 18)} {metric.text_of(figure)}" for metric, figure in metrics.reported]


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
