"""The comparison itself: one row a method, paired tests of every two, all on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy import stats

from ..checkpoint.kept import kept_of_summary
from ..machine.versions import versions_behind_results
from ..methods import METHODS
from ..methods.base import Method
from ..metrics import METRICS
from ..metrics.answers import Answers
from ..metrics.calibration import reliability
from ..metrics.intervals import LEVEL, Interval, wilson
from ..metrics.metrics import Metrics, measure
from .cost import Cost, cost_of
from .finished_run import FinishedRun
from .measured_run import Answer
from .paired import holm, images_needed, mcnemar_over_seeds, paired_difference

FORMAT = 1


@dataclass(frozen=True)
class Row:
    """One method, or one run. `metrics` and `runs` are one a seed; intervals are of the mean over them."""

    label: str
    method: str
    preset: str
    model: str
    runs: tuple[FinishedRun, ...]
    seeds: tuple[int, ...]
    metrics: tuple[Metrics, ...]
    hits: np.ndarray  # (S, N)
    answers: np.ndarray  # (N,) the first seed's predictions
    confidence: np.ndarray  # (N,) their probabilities
    figures: Mapping[str, Interval]  # by metric
    ece_uncalibrated: float
    retention: Interval | None
    cost: Cost

    @property
    def contract(self) -> Method:
        """What its method says of itself."""
        return METHODS[self.method]  # type: ignore[index]

    @property
    def top1(self) -> Interval:
        """Share of images that are right."""
        return self.figures["top1"]

    @property
    def fell_back(self) -> tuple[int, ...]:
        """Seeds whose run kept its start, for want of a gain on val."""
        return tuple(
            seed for seed, run in zip(self.seeds, self.runs, strict=True) if _is_its_start(self.contract, run.summary)
        )

    @property
    def kept(self) -> str:
        """What of the first seed's run became its model: its start, an epoch, a mix of the two."""
        return kept_of_summary(self.runs[0].summary).words

    def to_json(self) -> dict[str, Any]:
        """Figures alone."""
        return {
            "label": self.label,
            "method": self.method,
            "preset": self.preset,
            "model": self.model,
            "runs": [str(run.path) for run in self.runs],
            "seeds": list(self.seeds),
            **{name: asdict(figure) for name, figure in self.figures.items()},
            "retention": asdict(self.retention) if self.retention is not None else None,
            "ece_uncalibrated": self.ece_uncalibrated,
            "top1_by_seed": [item.top1.value for item in self.metrics],
            **asdict(self.cost),
            "trainable_share": self.cost.trainable_share,
            "kept": self.kept,
            "fell_back": self.fell_back,
            "alpha": self.runs[0].summary.get("alpha"),
            "alpha_curve": self.runs[0].summary.get("alpha_curve"),
            "epochs": self.runs[0].summary.get("epochs"),
            "temperature": self.runs[0].meta.get("temperature"),
        }


@dataclass(frozen=True)
class Pair:
    """`first` minus `second` in top-1. `p` is McNemar's, over seeds twice the median; `p_adjusted` allows for all
    pairs. `images_needed`: None where the two answer alike."""

    first: str
    second: str
    difference: Interval
    only_first: float
    only_second: float
    p: float
    p_adjusted: float
    images_needed: int | None

    @property
    def is_shown(self) -> bool:
        """Whether both the test and the interval say that the two differ."""
        return self.p_adjusted < 1 - LEVEL and (self.difference.low > 0 or self.difference.high < 0)


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the table, every pair, and the sentences that say what follows."""

    split: str
    data: Mapping[str, Any]
    class_names: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    n_seeds: int
    correction: str
    verdict: tuple[str, ...]
    recommended: Row | None
    notes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    device: str
    output_dir: Path

    def pair(self, first: str, second: str) -> Pair:
        """The pair of these two, turned so that `first` is first."""
        for item in self.pairs:
            if (item.first, item.second) == (first, second):
                return item
            if (item.second, item.first) == (first, second):
                return turned(item)
        raise KeyError((first, second))

    def to_json(self) -> dict[str, Any]:
        """As in compare.json."""
        return {
            "format": FORMAT,
            "split": self.split,
            "n_images": len(self.labels),
            "n_classes": len(self.class_names),
            "n_seeds": self.n_seeds,
            **self.data,
            "rows": [row.to_json() for row in self.rows],
            "pairs": [{**asdict(pair), "is_shown": pair.is_shown} for pair in self.pairs],
            "correction": self.correction,
            "verdict": list(self.verdict),
            "recommended": self.recommended.label if self.recommended is not None else None,
            "notes": list(self.notes),
            "unreadable": [{"path": path, "reason": reason} for path, reason in self.unreadable],
            "device": self.device,
            "output_dir": str(self.output_dir),
            "versions": versions_behind_results(),
        }


def _is_its_start(method: Method, summary: Mapping[str, Any]) -> bool:
    if method.facts.start_from_probe == "must":  # where the prompts are better on val, they stay
        return summary.get("start_kind") == "text"
    return bool(summary.get("epochs")) and summary.get("alpha") == 0


def build_row(
    label: str, answers: Sequence[Answer], seeds: Sequence[int], labels: np.ndarray, names: Sequence[tuple[str, str]]
) -> Row:
    """One row from the answers of each seed; logits and `labels` are of the readable images alone."""
    said = [Answers(answer.logits, labels, answer.temperature) for answer in answers]
    metrics = [measure(one, names) for one in said]
    hits = np.stack([one.is_right for one in said])
    raw = [replace(one, temperature=1.0).confidence for one in said]
    run = answers[0].run
    retained = [answer.retention for answer in answers if answer.retention is not None]
    return Row(
        label=label,
        method=run.method,
        preset=run.config.preset or run.method,
        model=run.model[0],
        runs=tuple(answer.run for answer in answers),
        seeds=tuple(seeds),
        metrics=tuple(metrics),
        hits=hits,
        answers=said[0].predicted,
        confidence=said[0].confidence,
        figures={
            name: mean_share(hits)
            if name == "top1"
            else mean_over_seeds([item.figures[name] for item in metrics], METRICS[name].bounds)
            for name in metrics[0].figures
        },
        ece_uncalibrated=fmean(reliability(p, h).ece for p, h in zip(raw, hits, strict=True)),
        retention=mean_over_seeds(retained, (0.0, 1.0)) if retained else None,
        cost=cost_of(answers),
    )


def mean_share(hits: np.ndarray) -> Interval:
    """Mean of hits (S, N): Wilson's interval for one seed; for several the wider of it and a bootstrap over both
    images and seeds."""
    value, n = float(hits.mean()), hits.shape[1]
    alone = wilson(round(value * n), n)
    if len(hits) == 1:
        return alone
    both = paired_difference(hits, np.zeros((1, n)))
    return Interval(value, min(alone.low, both.low), max(alone.high, both.high))


def build_pairs(rows: Sequence[Row], correction: str) -> tuple[Pair, ...]:
    """Every two rows, the better first, the p-values adjusted for all: the best row is chosen after looking."""
    ranks = {row.label: rank for rank, row in enumerate(ranked_rows(rows))}
    couples = [tuple(sorted(couple, key=lambda row: ranks[row.label])) for couple in combinations(rows, 2)]
    tests = [mcnemar_over_seeds(a.hits, b.hits) for a, b in couples]
    p_values = [p for _, _, p in tests]
    adjusted = holm(p_values) if correction == "holm" else p_values
    level = 1 - (1 - LEVEL) / max(1, len(couples) if correction == "holm" else 1)
    pairs = []
    for (a, b), (only_a, only_b, p), p_adjusted in zip(couples, tests, adjusted, strict=True):
        n = a.hits.shape[1]
        needed = images_needed(only_a / n, only_b / n, level=level)
        difference = paired_difference(a.hits, b.hits)
        pairs.append(Pair(a.label, b.label, difference, only_a, only_b, p, p_adjusted, needed))
    return tuple(pairs)


def ranked_rows(rows: Sequence[Row]) -> list[Row]:
    """The best first; among equals the one that trains fewer parameters."""
    return sorted(rows, key=lambda row: (-row.top1.value, row.cost.trainable_parameters, row.cost.artefact_bytes))


def turned(pair: Pair) -> Pair:
    """The same pair, second minus first."""
    d = pair.difference
    return Pair(
        pair.second,
        pair.first,
        Interval(-d.value, -d.high, -d.low),
        pair.only_second,
        pair.only_first,
        pair.p,
        pair.p_adjusted,
        pair.images_needed,
    )


def mean_over_seeds(items: Sequence[Interval], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Mean of one figure over seeds: the mean reach of the images, and that of the seeds' own scatter, squared and
    summed; cut to `bounds`. Of one seed the scatter is not known."""
    value, low, high = (fmean(getattr(item, name) for item in items) for name in ("value", "low", "high"))
    if len(items) == 1:
        return items[0]
    of_seeds = stats.norm.ppf(0.5 + LEVEL / 2) * stdev(item.value for item in items) / math.sqrt(len(items))
    return Interval(
        value,
        max(bounds[0], value - math.hypot(value - low, of_seeds)),
        min(bounds[1], value + math.hypot(high - value, of_seeds)),
    )
