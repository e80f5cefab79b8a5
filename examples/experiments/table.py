"""The log as tables: `python examples/experiments/table.py > examples/experiments/tables.md`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

import numpy as np
import typer
from log import LOG, Log

from clipft_cli.engine.comparison.paired import holm, mcnemar_over_seeds, paired_difference
from clipft_cli.engine.metrics.intervals import wilson

BUDGET = 90.0
OWN = ("full", "lora")
FREE = ("zero_shot", "linear_probe")
Record = dict[str, Any]
Pair = tuple[np.ndarray, np.ndarray]


def main(
    budget: Annotated[float, typer.Option(help="CPU seconds of the runs in the tables.")] = BUDGET,
    log: Annotated[Path, typer.Option(help="Log to read.")] = LOG,
) -> None:
    """Print accuracy, time to accuracy, paired tests, starting points, and what was explored, as Markdown."""
    records = Log(log).records
    runs = [r for r in records if r.get("has_test") and not r["variant"] and _is_of(r, budget)]
    longer = [r for r in records if r.get("has_test") and not r["variant"] and r["budget"] is None]
    sets = list(dict.fromkeys(r["set"] for r in runs))
    parts = {
        f"Test top-1 in % (95% Wilson interval), {budget:g} CPU seconds a run": accuracy_table(runs, sets),
        **{
            f"`{own}` minus the others on the same test images: points (95% bootstrap), p by Holm": paired_table(
                runs, sets, own
            )
            for own in OWN
        },
        "Epochs bought, CPU seconds used; seconds until val stood at the linear probe's level": time_table(runs, sets),
        "Test top-1 at equal epochs": epochs_table(longer),
        "Starting points": starting_points(runs),
        "Explored on val": explored([r for r in records if r.get("has_test") is False], "val"),
        "Explored with a test": explored([r for r in records if r.get("has_test") and r["variant"]], "test"),
        "Cost: CPU seconds of an update of 32 images": cost_table([r for r in records if r.get("kind") == "cost"]),
    }
    print("# Tables\n\nWritten by `table.py` from `log.jsonl`; README.md says what they mean.")
    for title, table in parts.items():
        print(f"\n## {title}\n{table}")


def _is_of(record: Record, budget: float) -> bool:
    return record["method"] in FREE or record["budget"] == budget


def accuracy_table(runs: Sequence[Record], sets: Sequence[str]) -> str:
    """Test top-1, a row a method: means over the seeds, of Wilson's intervals too; and each seed's value."""
    rows = [["method", "seeds", *(f"{name} (test n={_runs(runs, name)[0]['n'][2]})" for name in sets), "mean"]]
    for method in _methods(runs):
        found = [_runs(runs, name, method) for name in sets]
        means = [fmean(r["test_top1"] for r in of_set) for of_set in found if of_set]
        mean = f"{100 * fmean(means):.1f}" if len(means) == len(sets) else ""
        seeds = "/".join(dict.fromkeys(str(len(of_set)) for of_set in found))
        rows.append([method, seeds, *(_cell(of_set) for of_set in found), mean])
    return _markdown(rows)


def paired_table(runs: Sequence[Record], sets: Sequence[str], first: str) -> str:
    """`first` against every other method on the same images: difference with its interval, McNemar's p by Holm.

    Bootstrap over images and seeds; p is twice the median over the seeds, which share their images.
    """
    rows = [[f"{first} minus", *sets, "all sets together"]]
    lines = []
    for method in [m for m in _methods(runs) if m != first]:
        pairs = [(_hits(runs, name, first), _hits(runs, name, method)) for name in sets]
        lines.append((method, pairs, _together(pairs)))
    whole = [mcnemar_over_seeds(*together)[2] for _, _, together in lines if together is not None]
    adjusted = iter(holm(whole))
    for method, pairs, together in lines:
        last = f"{_difference(*together)}, p {next(adjusted):.2g}" if together is not None else ""
        rows.append([method, *(_difference(*pair) for pair in pairs), last])
    return _markdown(rows)


def time_table(runs: Sequence[Record], sets: Sequence[str]) -> str:
    """Medians over the seeds: CPU seconds of a run, and until val first stood at the probe's level and above it."""
    head = ["method", *(f"{name}: epochs, CPU s" for name in sets)]
    rows = [[*head, *(f"{name}: s to probe / +2 / +4 points" for name in sets)]]
    for method in [m for m in _methods(runs) if m not in FREE]:
        found = [_runs(runs, name, method) for name in sets]
        cells = [f"{r[0]['epochs_run']}, {median(x['cpu_seconds'] for x in r):.0f}" if r else "" for r in found]
        times = [_times(r, _level(runs, name)) if r else "" for r, name in zip(found, sets, strict=True)]
        rows.append([method, *cells, *times])
    return _markdown(rows)


def starting_points(runs: Sequence[Record]) -> str:
    """What each method starts from and how it trains, as logged."""
    rows = [["method", "start", "head", "augmentation", "schedule"]]
    for method in _methods(runs):
        record = next(r for r in runs if r["method"] == method)
        start = record["start"].split(" (start:")[0]
        rows.append([method, start, record["head"], record["augmentation"], record["schedule"]])
    return _markdown(rows)


def explored(records: Sequence[Record], value: str) -> str:
    """Every variant in the order tried, a column a set; what was worse stays. `value`: "val" or "test" top-1."""
    sets = list(dict.fromkeys(r["set"] for r in records))
    rows = [["method", "variant", "changed", *(f"{name}: epochs, top-1 on {value} (loss on val)" for name in sets)]]
    variants = dict.fromkeys((r["method"], r["variant"], ", ".join(r["sets"])) for r in records)
    for method, variant, changed in variants:
        of_variant = [
            r for r in records if (r["method"], r["variant"], ", ".join(r["sets"])) == (method, variant, changed)
        ]
        cells = [[_tried(r, value) for r in of_variant if r["set"] == name] for name in sets]
        rows.append([method, variant, changed, *("; ".join(cell) for cell in cells)])
    return _markdown(rows)


def _tried(record: Record, value: str) -> str:
    top1 = f"{100 * record[f'{value}_top1']:.1f} ({record['val_loss']:.3f})"
    return f"{record['epochs']}, {top1}" if record["epochs"] else top1


def epochs_table(runs: Sequence[Record]) -> str:
    """Runs whose epochs were given."""
    rows = [["set", "method", "epochs", "CPU s", "test top-1", "kept"]]
    for r in sorted(runs, key=lambda r: (r["set"], r["method"], r["seed"])):
        rows.append([r["set"], r["method"], f"{r['epochs']}", f"{r['cpu_seconds']:.0f}", _cell([r]), r["kept"]])
    return _markdown(rows)


def cost_table(records: Sequence[Record]) -> str:
    """What an update costs, measured before the runs."""
    rows = [["method", "CPU s an update"]]
    rows += [[r["method"], f"{r['update']:.2f}"] for r in records if "update" in r]
    return _markdown(rows)


def _methods(runs: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(r["method"] for r in runs))


def _runs(runs: Sequence[Record], name: str, method: str | None = None) -> list[Record]:
    return [r for r in runs if r["set"] == name and method in (None, r["method"])]


def _cell(of_set: Sequence[Record]) -> str:
    if not of_set:
        return ""
    intervals = [wilson(r["hits"].count("1"), len(r["hits"])) for r in of_set]
    value, low, high = (100 * fmean(getattr(i, part) for i in intervals) for part in ("value", "low", "high"))
    each = f" [{', '.join(f'{100 * i.value:.1f}' for i in intervals)}]" if len(of_set) > 1 else ""
    ties = sum(r["kept"].startswith("start") for r in of_set) if of_set[0]["method"] in OWN else 0
    return f"{value:.1f} ({low:.1f} to {high:.1f}){each}" + (f" {ties} tied: start kept" if ties else "")


def _hits(runs: Sequence[Record], name: str, method: str) -> np.ndarray:
    """(S, N): whether image n of the test split is right under seed s."""
    rows = [[hit == "1" for hit in r["hits"]] for r in _runs(runs, name, method)]
    return np.array(rows, dtype=bool)


def _together(pairs: Sequence[Pair]) -> Pair | None:
    """All sets' images one after the other, where every set has as many seeds."""
    joined = []
    for side in zip(*pairs, strict=True):
        n_seeds = {len(hits) for hits in side}
        if n_seeds & {0} or len(n_seeds) > 1:
            return None
        joined.append(np.concatenate(side, axis=1))
    return joined[0], joined[1]


def _difference(a: np.ndarray, b: np.ndarray) -> str:
    if not len(a) or not len(b):
        return ""
    found = paired_difference(a, b)
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _level(runs: Sequence[Record], name: str) -> float:
    probe = _runs(runs, name, "linear_probe")
    return float(probe[0]["val_top1"]) if probe else float("nan")


def _times(records: Sequence[Record], level: float) -> str:
    shown = []
    for more in (0.0, 0.02, 0.04):
        reached = [next((s for s, top1 in r["course"] if top1 >= level + more - 1e-9), math.inf) for r in records]
        middle = median(reached)
        shown.append("never" if math.isinf(middle) else f"{middle:.0f}")
    return " / ".join(shown)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


if __name__ == "__main__":
    typer.run(main)
