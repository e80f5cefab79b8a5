"""What a model is bad at, in Markdown: its worst classes and its most frequent mistakes."""

from __future__ import annotations

from ..metrics.metrics import Metrics
from ..preparation.layout import markdown_text

N_LISTED = 5


def weak_points(split: str, data: str, metrics: Metrics) -> str:
    """Of one split; it says how many images each figure is of."""
    on = f"Measured on {metrics.n_images:,} images of {split} of {markdown_text(data)}."
    mistakes = metrics.most_confused(N_LISTED)
    if not mistakes:
        return f"{on} It made no mistake on them, which says little of images of other kinds."
    rows = [
        f"| {markdown_text(item.readable)} | {item.f1:.1%} | {item.precision:.1%} | {item.recall:.1%}"
        f" ({item.recall_low:.1%} to {item.recall_high:.1%}) | {item.support} |"
        for item in metrics.worst_classes(N_LISTED)
    ]
    worst = ["| worst classes | F1 | precision | recall (95% interval) | images |", "|---|---|---|---|---|", *rows]
    frequent = ["| most frequent mistakes | images | of its class |", "|---|---|---|"] + [
        f"| {markdown_text(item.true)} taken for {markdown_text(item.predicted)} | {item.count} | {item.share:.0%} |"
        for item in mistakes
    ]
    return "\n".join([on, "", *worst, "", *frequent])
