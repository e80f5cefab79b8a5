"""How `clipft prepare` looks: progress on the way, then what there is now."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from .reading_view import print_reading
from .render import Screen, print_prose, print_warning

if TYPE_CHECKING:
    from ..engine.preparation.reading import Reading
    from ..engine.preparation.skeleton import SkeletonResult
    from ..engine.preparation.summary import PrepareResult
    from ..engine.preparation.validate import ValidationReport
    from ..engine.prepare import Progress as ProgressEvent

_MAX_ROWS = 30
_NAME_CELLS = 23
_SAID_IMBALANCE = 1.05


class PrepareView:
    """Shows each stage's progress: a bar on a terminal, one line a stage elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._stage: str | None = None
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=screen.err,
            transient=True,
            disable=not screen.is_live,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, event: ProgressEvent | Reading) -> None:
        """Take one event: how far a stage is, or how the source was read."""
        from ..engine.preparation.reading import Reading

        if isinstance(event, Reading):
            if not self._screen.mode.quiet:
                print_reading(self._screen.err, event)
            return
        done, total, stage = event.done, event.total, event.stage
        if stage.startswith("downloading"):
            stage, done, total = f"{stage} (MiB)", done >> 20, total >> 20 if total else None
        if stage != self._stage:
            self._stage = stage
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(stage, total=total)
            if not self._screen.is_live:
                self._screen.say(f"{stage} {total or ''}".rstrip() + " ...")
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)


def show_prepared(console: Console, result: PrepareResult) -> None:
    """The data set in words and one table, and the next command."""
    n_images = sum(result.counts.values())
    head = "already prepared, nothing to do" if result.already_prepared else f"ready in {result.seconds:.1f} s"
    print_prose(console, f"{result.data_dir}: {n_images:,} images, {len(result.classes)} classes, {head}", "bold")
    for note in result.notes:
        print_prose(console, note)
    console.print(_class_table(result))
    if result.imbalance >= _SAID_IMBALANCE:
        print_prose(
            console, f"imbalance: the largest class has {result.imbalance:.1f} times the images of the smallest"
        )
    if result.sizes is not None:
        sizes = (result.sizes.smallest, result.sizes.median, result.sizes.largest)
        print_prose(
            console, "image sizes: smallest {}, median {}, largest {}".format(*(f"{w} x {h}" for w, h in sizes))
        )
    print_prose(console, "prompts of the first class: " + ", ".join(f'"{prompt}"' for prompt in result.prompts()[0]))
    print_prose(console, f"the words for each class can be edited in {result.data_dir / 'classes.txt'}", "dim")
    _show_left_out(console, result)
    _show_next(console, result)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _class_table(result: PrepareResult) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("class", "in prompts"):
        table.add_column(name, no_wrap=True)
    for name in ("train", "val", "test", "all"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = result.classes
    skipped = len(rows) - _MAX_ROWS if len(rows) > _MAX_ROWS + 5 else 0
    for c in rows[: _MAX_ROWS if skipped else None]:
        table.add_row(_clipped(c.name), _clipped(c.readable), *(f"{n:,}" for n in (c.train, c.val, c.test, c.total)))
    if skipped:
        table.add_row(Text(f"... {skipped:,} more classes"), "", "", "", "", "")
    counts = result.counts
    totals = (*counts.values(), sum(counts.values()))
    table.add_row(Text("all", style="bold"), "", *(Text(f"{n:,}", style="bold") for n in totals))
    return table


def _clipped(name: str) -> Text:
    """A name of at most _NAME_CELLS cells, so that the numbers beside it stay on a screen of 80."""
    if cell_len(name) > _NAME_CELLS:
        name = set_cell_size(name, _NAME_CELLS - 3).rstrip() + "..."
    return Text(name)


def _show_left_out(console: Console, result: PrepareResult) -> None:
    if result.ignored:
        print_prose(console, f"{_count(result.ignored, 'hidden file')} passed over", "dim")
    if result.near_duplicate_groups:
        n = result.near_duplicate_groups
        print_prose(console, f"near duplicates: {n} group{'' if n == 1 else 's'}, each kept within one split")
    if not result.left_out:
        if not result.already_prepared:
            print_prose(console, "left out: nothing")
        return
    print_prose(
        console,
        f"left out: {_count(result.n_left_out, 'file')}, listed in {result.data_dir / 'problems.csv'}",
        "yellow",
    )
    for found in result.left_out:
        action = "" if found.action == "left out" else f" ({found.action})"
        dots = ", ..." if found.count > len(found.examples) else ""
        print_prose(console, f"  {found.count} x {found.reason}{action}: {', '.join(found.examples)}{dots}")


def _show_next(console: Console, result: PrepareResult) -> None:
    if result.method is not None:
        tree = f"method: the decision tree says {result.method_tree} ({result.method_why})"
        print_prose(console, f"{tree}; chosen: {result.method}")
    if result.config_file is not None:
        print_prose(console, f"{result.config_file}: settings for this data and this machine, each line explained")
    console.print(Text("next: ", style="cyan") + Text(result.next_command, style="bold"), soft_wrap=True)


def show_skeleton(console: Console, result: SkeletonResult) -> None:
    """The folders that were made, and what to do with them."""
    print_prose(console, f"{result.data_dir}: folders for {len(result.classes)} classes, no images yet", "bold")
    print_prose(console, f"add photographs to {result.data_dir}/train/<class>/; val and test are cut from train")
    console.print(Text("next: ", style="cyan") + Text(result.next_command, style="bold"), soft_wrap=True)


def show_validated(console: Console, report: ValidationReport) -> None:
    """That all is well; faults are shown as the error."""
    n_images = sum(c.total for c in report.classes)
    if not report.faults:
        print_prose(console, f"{report.data_dir}: whole; {n_images:,} images, {len(report.classes)} classes", "bold")
    for warning in report.warnings:
        print_warning(console, warning)
