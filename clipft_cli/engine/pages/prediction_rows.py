"""predictions.csv of an evaluation: one line an image, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from ..files.visible import csv_cell
from ..metrics.scores import Scores, ranked
from ..metrics.top5 import TOP

COLUMNS = ("path", "true", "predicted", "probability", "correct", "top5")


def predictions_csv(scores: Scores, paths: Sequence[str], names: Sequence[str], temperature: float) -> str:
    """Lines in manifest order; `paths` (N,) of the scored images, `names` of the classes.

    `top5` lists the first min(5, C) classes as `name 0.8123; name 0.1012`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    top = ranked(scores.logits, TOP)  # (N, min(5, C))
    shares = np.take_along_axis(scores.probabilities(temperature), top, axis=1)
    cells = [csv_cell(name) for name in names]
    for path, label, classes, p in zip(paths, scores.labels, top, shares, strict=True):
        listed = "; ".join(f"{names[c]} {share:.4f}" for c, share in zip(classes, p, strict=True))
        is_right = "true" if classes[0] == label else "false"
        writer.writerow([csv_cell(path), cells[label], cells[classes[0]], f"{p[0]:.6f}", is_right, csv_cell(listed)])
    return text.getvalue()
