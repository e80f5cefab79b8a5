"""Writes docs/intervals.md: how often the 95% intervals hold the truth, by simulation with clipft's own code.

Run `python docs/measure_intervals.py` in the root of the project; it takes some ten minutes on one core. Every row
is a made-up model whose true figure is known; a trial draws test images for it and measures them as `evaluate` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clipft_cli.engine.comparison.comparison import mean_over_seeds
from clipft_cli.engine.metrics import METRICS
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.calibration import N_BINS, bins_of, ece_interval
from clipft_cli.engine.metrics.intervals import Interval, percentile_interval, resample_images, wilson

N_TRIALS = 1000
N_RESAMPLES = 500
CLASSES = [
    ("2 classes of 10 images", [10] * 2, 0.8),
    ("2 classes of 40 images", [40] * 2, 0.9),
    ("3 classes of 50 images", [50] * 3, 0.6),
    ("4 classes of 60, 20, 10 and 5 images", [60, 20, 10, 5], 0.85),
    ("5 classes of 15 images", [15] * 5, 0.8),
    ("10 classes of 5 images", [5] * 10, 0.7),
    ("10 classes of 15 images", [15] * 10, 0.8),
    ("10 classes of 15 images, nearly all right", [15] * 10, 0.95),
    ("10 classes of 4 to 50 images", [int(n) for n in np.linspace(4, 50, 10)], 0.8),
    ("20 classes of 8 images", [8] * 20, 0.85),
]
CONFIDENCES = {"mostly unsure": (5, 3), "mostly sure": (8, 1.2), "anything": (1, 1)}
SHIFTS = (-0.15, -0.07, 0.0, 0.03, 0.07, 0.12, 0.2)
PAGE = """# What the 95% intervals cover

`docs/measure_intervals.py` made this page: models whose true figures are known, test images drawn for them, and
intervals by clipft's own code. A row is {n_trials} trials of {n_resamples} resamples: 95% is known to {margin} points.

## Macro-F1 and balanced accuracy
Student's interval on the logit scale, with the spread of a bootstrap within the classes. Beside it stand the
percentiles of the same bootstrap, which say too much. Of more than two classes some are known better than others.

| test images | accuracy | macro-F1 | by percentiles | balanced accuracy | by percentiles |
|---|---|---|---|---|---|
{shares}

## ECE
ECE takes the noise of each bin for miscalibration. So the lower end is the reflected one less this bias, and 0 where a
calibrated model would score as high by chance; the upper end is a percentile. {n_ece} cases: confidences that are
mostly unsure, mostly sure or anything, and an accuracy that is off by -15 to +20 points.

| test images | worst case | median | best case |
|---|---|---|---|
{ece}

## Several seeds
`clipft compare` gives the mean over the seeds. Its interval is the reach of the images and that of the seeds' scatter,
squared and summed. Here: macro-F1 on 15 images of each of 10 classes, and a model whose accuracy changes from seed to
seed; the truth is the mean over all its seeds. The last column has the images' reach alone, without the scatter.

| seeds | standard deviation of the accuracy over seeds | covered | by the images alone |
|---|---|---|---|
{seeds}
"""


def main() -> None:
    text = PAGE.format(
        n_trials=N_TRIALS,
        n_resamples=N_RESAMPLES,
        margin=round(196 * (0.95 * 0.05 / N_TRIALS) ** 0.5, 1),
        shares="\n".join(share_rows()),
        ece="\n".join(ece_rows()),
        n_ece=len(CONFIDENCES) * len(SHIFTS),
        seeds="\n".join(seed_rows()),
    )
    Path(__file__).with_name("intervals.md").write_text(text, encoding="utf-8")


def share_rows() -> Iterator[str]:
    for words, sizes, accuracy in CLASSES:
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(len(sizes)), sizes)
        hits = dict.fromkeys(("macro_f1", "macro_f1%", "balanced_accuracy", "balanced_accuracy%"), 0)
        for seed in range(N_TRIALS):
            confusion = model(rng, len(sizes), accuracy)
            truths = {"macro_f1": macro_f1(confusion, sizes), "balanced_accuracy": float(np.diag(confusion).mean())}
            answers = drawn(rng, confusion, labels)
            for name, truth in truths.items():
                hits[name] += covers(METRICS[name].measured(answers, n_resamples=N_RESAMPLES, seed=seed), truth)
                hits[f"{name}%"] += covers(by_percentiles(name, answers, seed), truth)
        f1, f1_before, macro, macro_before = (f"{count / N_TRIALS:.1%}" for count in hits.values())
        yield f"| {words} | {accuracy:.0%} | {f1} | {f1_before} | {macro} | {macro_before} |"


def by_percentiles(name: str, answers: Answers, seed: int) -> Interval:
    metric, n = METRICS[name], len(answers.labels)
    resampled = resample_images(
        n,
        lambda indexes: metric.values_of(answers, indexes),
        strata=answers.labels,
        n_resamples=N_RESAMPLES,
        seed=seed,
    )
    if np.ptp(resampled) > 0:
        return percentile_interval(metric.value(answers), resampled)
    share = wilson(int(answers.is_right.sum()), n)
    return Interval(share.value, share.low, share.high)


def ece_rows() -> Iterator[str]:
    for n in (60, 150, 600):
        shares = []
        for a, b in CONFIDENCES.values():
            for shift in SHIFTS:
                rng = np.random.default_rng(0)
                many = rng.beta(a, b, 1_000_000)
                gaps = np.bincount(bins_of(many), weights=many - accuracy_at(many, shift), minlength=N_BINS)
                truth = float(np.abs(gaps).sum()) / len(many)
                hits = 0
                for seed in range(N_TRIALS):
                    confidence = rng.beta(a, b, n)
                    is_right = rng.random(n) < accuracy_at(confidence, shift)
                    hits += covers(ece_interval(confidence, is_right, n_resamples=N_RESAMPLES, seed=seed), truth)
                shares.append(hits / N_TRIALS)
        worst, middle, best = (f"{share:.1%}" for share in np.quantile(shares, [0, 0.5, 1]))
        yield f"| {n} | {worst} | {middle} | {best} |"


def seed_rows() -> Iterator[str]:
    n_classes, size, n_models = 10, 15, 400
    labels = np.repeat(np.arange(n_classes), size)
    bounds = METRICS["macro_f1"].bounds
    for n_seeds in (2, 3, 5):
        for scatter in (0.0, 0.02, 0.05):
            rng = np.random.default_rng(0)
            start = model(rng, n_classes, 0.75)
            models = [moved(start, rng.normal(0, scatter)) for _ in range(n_models)]
            truth = float(np.mean([macro_f1(confusion, [size] * n_classes) for confusion in models]))
            together = alone = 0
            for seed in range(N_TRIALS):
                common = rng.random(len(labels))  # the same images for every seed: what is hard for one is for all
                figures = [
                    METRICS["macro_f1"].measured(said(models[i], labels, common), n_resamples=N_RESAMPLES, seed=seed)
                    for i in rng.choice(n_models, n_seeds)
                ]
                value, low, high = np.mean([(f.value, f.low, f.high) for f in figures], axis=0)
                together += covers(mean_over_seeds(figures, bounds), truth)
                alone += covers(Interval(value, low, high), truth)
            yield f"| {n_seeds} | {100 * scatter:.0f} points | {together / N_TRIALS:.1%} | {alone / N_TRIALS:.1%} |"


def model(rng: np.random.Generator, n_classes: int, accuracy: float) -> np.ndarray:
    """P(answer | class) (C, C): `accuracy` on average, uneven over the classes, mistakes mostly for a few others."""
    confusion = np.zeros((n_classes, n_classes))
    for label in range(n_classes):
        uneven = rng.uniform(-0.5, 0.5) * (1 - accuracy) if n_classes > 2 else 0.0
        wrong = rng.dirichlet(np.full(n_classes - 1, 0.5)) * (1 - accuracy - uneven)
        confusion[label] = np.insert(wrong, label, accuracy + uneven)
    return confusion


def moved(confusion: np.ndarray, by: float) -> np.ndarray:
    """The same model with an accuracy of `by` more in every class."""
    right = np.clip(np.diag(confusion) + by, 0.01, 0.99)
    wrong = confusion - np.diag(np.diag(confusion))
    return wrong / wrong.sum(axis=1, keepdims=True) * (1 - right)[:, None] + np.diag(right)


def drawn(rng: np.random.Generator, confusion: np.ndarray, labels: np.ndarray) -> Answers:
    return said(confusion, labels, rng.random(len(labels)))


def said(confusion: np.ndarray, labels: np.ndarray, uniform: np.ndarray) -> Answers:
    """Answers of the model, an image's from its uniform number: right where that is small."""
    right_first = np.array([np.concatenate([[row[c]], np.delete(row, c)]) for c, row in enumerate(confusion)])
    places = (uniform[:, None] > right_first.cumsum(axis=1)[labels]).sum(axis=1).clip(max=len(confusion) - 1)
    others = np.array([np.concatenate([[c], np.delete(np.arange(len(confusion)), c)]) for c in range(len(confusion))])
    return Answers(np.eye(len(confusion))[others[labels, places]], labels)


def macro_f1(confusion: np.ndarray, sizes: list[int]) -> float:
    counts = confusion * np.array(sizes)[:, None]
    return float(np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))))


def accuracy_at(confidence: np.ndarray, shift: float) -> np.ndarray:
    return np.clip(confidence + shift, 0.01, 0.995)


def covers(interval: Interval, truth: float) -> bool:
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12


if __name__ == "__main__":
    main()
