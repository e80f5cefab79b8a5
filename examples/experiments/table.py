"""The log as tables: `python examples/experiments/table.py > examples/experiments/tables.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from log import LOG, Log

from clipft_cli.engine.comparison.paired import holm, mcnemar, paired_difference
from clipft_cli.engine.report.intervals import wilson

BUDGET = 90.0
OWN = ("full", "lora")
FREE = ("zero_shot", "linear_probe")
Record = dict[str, Any]


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
        "`full` minus the others on the same test images: points (95% bootstrap), McNemar's p by Holm": paired_table(
            runs, sets
        ),
        "Epochs bought, CPU seconds used; seconds until val stood at the linear probe's level": time_table(runs, sets),
        "Test top-1 at equal epochs": epochs_table(longer),
        "Starting points": starting_points(runs),
        "Explored on val, in the order tried": explored([r for r in records if r.get("has_test") is False]),
        "Cost: CPU seconds of an update of 32 images": cost_table([r for r in records if r.get("kind") == "cost"]),
    }
    print("# Tables\n\nWritten by `table.py` from `log.jsonl`; README.md says what they mean.")
    for title, table in parts.items():
        print(f"\n## {title}\n{table}")


def _is_of(record: Record, budget: float) -> bool:
    return record["method"] in FREE or record["budget"] == budget


def accuracy_table(runs: Sequence[Record], sets: Sequence[str]) -> str:
    """Test top-1 with Wilson intervals, a row a method; over seeds, hits are pooled for the value alone."""
    rows = [["method", *(f"{name} (test n={_runs(runs, name)[0]['n'][2]})" for name in sets), "mean"]]
    for method in _methods(runs):
        found = [_runs(runs, name, method) for name in sets]
        means = [float(np.mean([r["test_top1"] for r in of_set])) for of_set in found if of_set]
        mean = f"{100 * np.mean(means):.1f}" if len(means) == len(sets) else ""
        rows.append([method, *(_cell(of_set) for of_set in found), mean])
    return _markdown(rows)


def paired_table(runs: Sequence[Record], sets: Sequence[str]) -> str:
    """Own `full` against every other method on the same images: difference, bootstrap interval, McNemar's p by Holm."""
    rows = [["full minus", *sets, "all sets together"]]
    lines = []
    for method in [m for m in _methods(runs) if m != "full"]:
        pairs = [_hits(runs, name, "full", method) for name in sets]
        lines.append((method, pairs, _together(pairs)))
    whole = [_p_value(together) for _, _, together in lines]
    adjusted = holm([p for p in whole if p is not None])
    for (method, pairs, together), p in zip(lines, whole, strict=True):
        last = _difference(together) + (f", p {adjusted.pop(0):.2g}" if p is not None else "")
        rows.append([method, *(_difference(pair) for pair in pairs), last])
    return _markdown(rows)


def time_table(runs: Sequence[Record], sets: Sequence[str]) -> str:
    """CPU seconds until val first stood at the probe's level, and two points above it."""
    head = ["method", *(f"{name}: epochs, CPU s" for name in sets)]
    rows = [[*head, *(f"{name}: s to probe / +2 / +4 points" for name in sets)]]
    for method in [m for m in _methods(runs) if m not in FREE]:
        found = [_runs(runs, name, method)[:1] for name in sets]
        cells = [f"{r[0]['epochs_run']}, {r[0]['cpu_seconds']:.0f}" if r else "" for r in found]
        times = [_times(r[0], _level(runs, name)) if r else "" for r, name in zip(found, sets, strict=True)]
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


def explored(records: Sequence[Record]) -> str:
    """Every variant tried on val, in the order tried; what was worse stays."""
    rows = [["set", "method", "variant", "changed", "epochs", "val n", "val top-1", "val loss", "kept"]]
    for r in records:
        value, loss = f"{100 * r['val_top1']:.1f}", f"{r['val_loss']:.3f}"
        changed = ", ".join(r["sets"])
        rows.append(
            [r["set"], r["method"], r["variant"], changed, f"{r['epochs']}", f"{r['n'][1]}", value, loss, r["kept"]]
        )
    return _markdown(rows)


def epochs_table(runs: Sequence[Record]) -> str:
    """Runs whose epochs were given."""
    rows = [["set", "method", "epochs", "CPU s", "test top-1", "kept"]]
    for r in runs:
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
    hits = [hit == "1" for hit in of_set[0]["hits"]]
    interval = wilson(sum(hits), len(hits))
    first = f"{100 * interval.value:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
    others = ", ".join(f"{100 * r['test_top1']:.1f}" for r in of_set[1:])
    note = " tie: start kept" if of_set[0]["kept"].startswith("start") and of_set[0]["method"] in OWN else ""
    return first + (f"; other seeds {others}" if others else "") + note


def _hits(runs: Sequence[Record], name: str, first: str, second: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Both methods' hits on the same images, the seeds both have one after the other (each seed is a split)."""
    of_first, of_second = ({r["seed"]: r["hits"] for r in _runs(runs, name, method)} for method in (first, second))
    seeds = sorted(of_first.keys() & of_second.keys())
    if not seeds:
        return None
    joined = ("".join(of[seed] for seed in seeds) for of in (of_first, of_second))
    a, b = (np.array([hit == "1" for hit in hits]) for hits in joined)
    return a, b


def _together(pairs: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> tuple[np.ndarray, np.ndarray] | None:
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return None
    return np.concatenate([a for a, _ in known]), np.concatenate([b for _, b in known])


def _difference(pair: tuple[np.ndarray, np.ndarray] | None) -> str:
    if pair is None:
        return ""
    found = paired_difference(*pair)
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _p_value(pair: tuple[np.ndarray, np.ndarray] | None) -> float | None:
    return None if pair is None else mcnemar(*pair).p


def _level(runs: Sequence[Record], name: str) -> float:
    probe = _runs(runs, name, "linear_probe")
    return float(probe[0]["val_top1"]) if probe else float("nan")


def _times(record: Record, level: float) -> str:
    reached = [
        next((f"{seconds:.0f}" for seconds, top1 in record["course"] if top1 >= level + more - 1e-9), "never")
        for more in (0.0, 0.02, 0.04)
    ]
    return " / ".join(reached)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


if __name__ == "__main__":
    typer.run(main)
