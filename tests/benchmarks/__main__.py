"""`make bench`: measures the rows asked for, puts them into results.json and writes the page."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .driver import SideFailed, UnequalWork, measure
from .page import page_of
from .results import add_row, read_results
from .rows import ROWS
from .work import Task
from .world import MODELS, World, build_world

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> int:
    """1 if a side failed or the work was not equal; a figure that is missed is a figure, not a failure."""
    options = _options()
    names = options.rows or list(ROWS)
    if unknown := sorted(set(names) - set(ROWS)):
        print(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    failed = [] if options.no_run else _measure_all(names, options)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page_of(read_results(options.results)), encoding="utf-8")
    print(f"wrote {options.results} and {options.page}")
    return 1 if failed else 0


def _measure_all(names: list[str], options: argparse.Namespace) -> list[str]:
    """The names of the rows that could not be measured."""
    world = build_world(options.work, "tiny" if options.quick else options.model)
    return [name for name in names if not _measure_one(name, world, options)]


def _measure_one(name: str, world: World, options: argparse.Namespace) -> bool:
    row = ROWS[name]
    task = Task(world, options.batch_size or row.batch_size, row.precision, row.threads or options.threads, {})
    print(f"{name}: {row.title}, {task.world.model}, batch {task.batch_size}, {task.threads} threads", flush=True)
    try:
        result = measure(row, task, options.rounds or row.rounds, lambda text: print(f"  {text}", flush=True))
    except (UnequalWork, SideFailed) as error:
        hint = "; the other sides need `pip install -e '.[bench]'`" if "No module named" in str(error) else ""
        print(f"  not measured: {error}{hint}", file=sys.stderr)
        return False
    add_row(options.results, name, result)
    for figure in result["figures"]:
        wanted = figure["at_least"] or figure["at_most"]
        note = f", wanted {wanted:g}: {'reached' if figure['is_met'] else 'missed'}" if wanted else ""
        low, high = figure["quartiles"]
        print(f"  {figure['what']}: {figure['median']:.3g} ({low:.3g} to {high:.3g}){note}", flush=True)
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"rows to measure (default: all): {', '.join(ROWS)}")
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default: the row's own)")
    parser.add_argument("--batch-size", type=int, help="images in a step (default: the row's own)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--no-run", action="store_true", help="measure nothing: write the page of the results there are"
    )
    parser.add_argument("--quick", action="store_true", help="a tiny model: to try the benchmark, not to measure")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="where weights and photographs are kept")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
