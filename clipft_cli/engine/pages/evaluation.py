"""One evaluation: its figures, what they belong to, and the files that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..files.places import handed_on
from ..machine.versions import versions_behind_results, versions_of
from ..metrics import METRICS
from ..metrics.intervals import Interval
from ..metrics.metrics import Metrics, metrics_json
from ..metrics.scores import SCORES_FILE, Scores, scores_bytes
from .plots import class_performance_png, confusion_png
from .prediction_rows import predictions_csv
from .text_report import percent, report_text

FORMAT = 1
REPORT_FILE = "evaluation_report.txt"
RESULTS_FILE = "evaluation_results.json"
CONFUSION_FILE = "confusion_matrix.png"
CLASSES_FILE = "class_performance.png"
PREDICTIONS_FILE = "predictions.csv"
PAGE_FILE = "report.html"


@dataclass(frozen=True)
class Evaluation:
    """A finished measurement. `facts` say of what and on what; `paths` are those of the scored images;
    `top1_among_present` is None where every class of the model has images."""

    split: str
    metrics: Metrics
    scores: Scores
    paths: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    temperature: float
    facts: Mapping[str, Any]
    output_dir: Path
    top1_among_present: Interval | None = None
    example: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in evaluation_results.json, but for the digests of the files beside it."""
        return {
            "format": FORMAT,
            "split": self.split,
            "n_images": self.metrics.n_images,
            "n_classes": len(self.metrics.classes),
            **metrics_json(self.metrics),
            "top1_among_present": self._among_present(),
            "temperature": self.temperature,
            **self.facts,
            "unreadable": [{"path": path, "reason": reason} for path, reason in self.unreadable],
            "notes": list(self.notes),
            "output_dir": str(self.output_dir),
            "versions": {**versions_behind_results(), **versions_of("numpy", "scipy", "scikit-learn")},
        }

    def _among_present(self) -> dict[str, Any] | None:
        found = self.top1_among_present
        return None if found is None else {"value": found.value, "interval_95": [found.low, found.high]}


def evaluation_files(evaluation: Evaluation, page: Callable[[Evaluation], str]) -> dict[str, bytes]:
    """File name -> content; evaluation_results.json holds the digests of the others. `page` makes report.html."""
    evaluation = _shareable(evaluation)
    metrics, split = evaluation.metrics, evaluation.split
    of = f"on {split}: {len(metrics.classes)} classes, {metrics.n_images:,} images"
    names = [item.name for item in metrics.classes]
    files = {
        REPORT_FILE: _text(evaluation).encode("utf-8", "backslashreplace"),
        CONFUSION_FILE: confusion_png(metrics, f"Confusion {of}, top-1 {percent(metrics.top1.value)}"),
        CLASSES_FILE: class_performance_png(
            metrics, f"Classes {of}, macro-F1 {percent(metrics.figures['macro_f1'].value)}"
        ),
        PREDICTIONS_FILE: predictions_csv(evaluation.scores, evaluation.paths, names, evaluation.temperature).encode(
            "utf-8", "backslashreplace"
        ),
        SCORES_FILE: scores_bytes(evaluation.scores),
        PAGE_FILE: page(evaluation).encode("utf-8", "backslashreplace"),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    content = {**evaluation.to_json(), "files": digests}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {**files, RESULTS_FILE: text.encode("utf-8", "backslashreplace")}


def _shareable(evaluation: Evaluation) -> Evaluation:
    """These files are handed on: no absolute path stands in them."""
    facts = evaluation.facts
    told = partial(handed_on, places=(facts.get("checkpoint"), facts.get("data_dir"), evaluation.output_dir))
    return replace(
        evaluation,
        facts=told(facts),
        notes=told(evaluation.notes),
        unreadable=told(evaluation.unreadable),
        output_dir=told(evaluation.output_dir),
        scores=replace(evaluation.scores, facts=told(evaluation.scores.facts)),
    )


def _among_present(evaluation: Evaluation) -> dict[str, str]:
    """A line for the report where classes of the model do not occur."""
    found = evaluation.top1_among_present
    return (
        {}
        if found is None
        else {"among present": f"{METRICS['top1'].text_of(found)}, top-1 among the classes with images"}
    )


def _text(evaluation: Evaluation) -> str:
    facts, metrics = evaluation.facts, evaluation.metrics
    lines = {
        "model": f"{facts['model']} ({facts['label']})",
        "checkpoint": f"{facts['checkpoint'] or 'none: pretrained weights'}",
        "data set": f"{facts['data_dir']} (digest {facts['manifest_digest'][:12]})",
        "split": f"{evaluation.split}: {metrics.n_images:,} images, {len(metrics.classes)} classes",
        **_among_present(evaluation),
        "temperature": f"{evaluation.temperature:.3f}",
        "device": f"{facts['device']}, {facts['precision']}",
        "speed": f"{facts['images_per_second']:.0f} images/s",
    }
    title = f"Evaluation on {evaluation.split}"
    return report_text(title, lines, metrics, evaluation.unreadable, evaluation.notes)
