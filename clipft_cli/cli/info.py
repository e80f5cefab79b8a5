"""`clipft info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .options import AsJson, Debug, Quiet
from .render import Screen

if TYPE_CHECKING:
    from ..engine.info import RunInfo


def info(
    context: typer.Context,
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run; none: all of the folder.")] = None,
    outputs: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the runs.")] = Path("outputs"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the runs, the newest first: method, accuracy on val and test, epochs, size, state; or tell of one."""
    screen = Screen.of(context)

    from ..engine.info import run_info, runs

    if run is not None:
        found = run_info(run)
        screen.result(found.to_json(), lambda console: show_run(console, found))
    else:
        all_runs = runs(outputs)
        screen.result({"runs": [one.to_json() for one in all_runs]}, lambda console: show_runs(console, all_runs))


def show_runs(console: Console, found: list[RunInfo]) -> None:
    """A table, one row a run."""
    table = Table(box=None, pad_edge=False)
    for title, is_number in (
        ("run", 0),
        ("method", 0),
        ("val", 1),
        ("test", 1),
        ("epochs", 1),
        ("size", 1),
        ("state", 0),
    ):
        table.add_column(title, justify="right" if is_number else "left", no_wrap=title != "run", overflow="fold")
    for one in found:
        table.add_row(
            str(one.path),
            one.method,
            _percent(one.best_val),
            _percent(one.test),
            str(one.epochs),
            one.amount,
            one.state,
        )
    console.print(table)


def show_run(console: Console, one: RunInfo) -> None:
    """One line a fact."""
    facts = [
        ("run", str(one.path)),
        ("method", one.method),
        ("data", one.data),
        ("state", one.state),
        ("epochs", str(one.epochs)),
        ("model", one.kept),
        ("val top-1", _percent(one.best_val)),
        ("test top-1", _percent(one.test)),
        ("size", one.amount),
        ("trouble", one.trouble),
        ("next", one.next_command),
    ]
    for what, fact in facts:
        if fact:
            console.print(f"{what}: {fact}", soft_wrap=True)


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.1f}%"
