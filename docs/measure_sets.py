"""How often a conformal set holds the right class, and how large it is: the table of docs/unknown.md.

`python docs/measure_sets.py RUN...`: runs whose data sets lie where they were trained on. For each it prints, for sets
that are fitted on val, the share of test whose set holds the right class, with its interval, and the mean size; and
the same over 1,000 seeded divisions of val and test into two halves: one is fitted on, the other measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from measure_unknown import looked_at
from scipy.special import softmax

import clipft_cli as clipft
from clipft_cli.config.evaluate import EvaluateConfig, EvaluateOptions
from clipft_cli.config.model import HardwareConfig
from clipft_cli.engine.checkpoint.subject import choose_subject, data_dir_of
from clipft_cli.engine.checkpoint.val_answers import val_answers
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.metrics.conformal import fit_sets
from clipft_cli.engine.metrics.intervals import wilson
from clipft_cli.engine.model.precision import set_up

COVERAGES = (0.8, 0.9, 0.95)
N_DIVISIONS = 1000


def main() -> None:
    print("| run | asked for | on test | mean size | alone | over 1,000 divisions | mean size |")
    print("|---" * 7 + "|")
    for run in sys.argv[1:]:
        model = clipft.load(run)
        subject = choose_subject(EvaluateConfig(evaluate=EvaluateOptions(checkpoint=Path(run))))
        manifest = read_manifest(data_dir_of(EvaluateConfig(), subject))
        rows = manifest.split("test")
        val = val_answers(model.checkpoint, None, model._loaded, set_up(HardwareConfig(), "no"))
        logits = looked_at(model, (str(manifest.file(row)) for row in rows))[1]
        both = np.concatenate([val.logits, logits]).astype(np.float64)
        shares = softmax(both / model._loaded.temperature, axis=1)
        labels = np.concatenate([val.labels, [row.label for row in rows]])
        for coverage in COVERAGES:
            n = len(val.labels)
            hits, sizes = measured(shares, labels, np.arange(n), np.arange(n, len(labels)), coverage)
            ours = wilson(int(hits.sum()), len(hits))
            rng = np.random.default_rng(0)
            means = []
            for _ in range(N_DIVISIONS):
                order = rng.permutation(len(labels))
                some = measured(shares, labels, order[: len(order) // 2], order[len(order) // 2 :], coverage)
                means.append([part.mean() for part in some])
            share, size = np.mean(means, axis=0)
            print(
                f"| `{Path(run).name}` | {coverage:.0%} | {ours.value:.1%} ({ours.low:.1%} to {ours.high:.1%})"
                f" | {sizes.mean():.2f} | {np.mean(sizes == 1):.0%} | {share:.1%} | {size:.2f} |",
                flush=True,
            )


def measured(
    shares: np.ndarray, labels: np.ndarray, fitted_on: np.ndarray, held_out: np.ndarray, coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each image held out: whether its set holds its class, and the size of the set."""
    sets = fit_sets(shares[fitted_on], labels[fitted_on], coverage).sets(shares[held_out])
    hits = [label in found for found, label in zip(sets, labels[held_out], strict=True)]
    return np.array(hits), np.array([len(found) for found in sets])


if __name__ == "__main__":
    main()
