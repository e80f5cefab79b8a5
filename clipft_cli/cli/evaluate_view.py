"""An evaluation on the screen: a bar while it runs, then the figures, the worst classes, the next command."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .render import Screen

if TYPE_CHECKING:
    from ..engine.events import Event
    from ..engine.pages.evaluation import Evaluation

N_WORST, N_CONFUSIONS = 5, 5


class EvaluateView:
    """Shows events as they come; called once an event."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._bar: Progress | None = None

    def __enter__(self) -> EvaluateView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        from ..engine.events import Note
        from ..engine.events import Progress as Passed

        if isinstance(event, Note):
            (self.screen.warn if event.is_warning else self.screen.say)(event.text)
        elif isinstance(event, Passed) and self.screen.is_live:
            self._advance(event.what, event.done, event.total)

    def _advance(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total} images"),
                TimeRemainingColumn(),
                console=self.screen.err,
                transient=True,
            )
            self._bar.add_task(what, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)
        if done >= total:
            self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def show_evaluated(console: Console, result: Evaluation, checkpoint: Path | None) -> None:
    """The figures, what goes wrong most, where the files are, what to type next."""
    from ..engine.pages.evaluation import PAGE_FILE

    metrics = result.metrics
    console.print(
        f"{result.facts['label']} on {result.split}: {metrics.n_images:,} images, {len(metrics.classes)} classes"
    )
    console.print(_figures(result))
    if metrics.top1.value < 1:
        console.print()
        console.print(_worst(result))
        console.print()
        console.print(_confusions(result))
        console.print()
    console.print(Text(f"written: {_shown(str(result.output_dir))}/"), soft_wrap=True)
    console.print(Text(f"to look at: {_shown(str(result.output_dir / PAGE_FILE))}"), soft_wrap=True)
    console.print(Text(f"next: {_next_command(result, checkpoint)}"), soft_wrap=True)


def _table(*columns: tuple[str, bool]) -> Table:
    """Columns are (heading, is a number)."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, is_number in columns:
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    return table


def _figures(result: Evaluation) -> Table:
    table = _table(("", False), ("value", True), ("95% interval", False))
    figures = [(metric, metric.title, figure) for metric, figure in result.metrics.headlines]
    if (among := result.top1_among_present) is not None:
        figures.insert(1, (figures[0][0], "top-1 among classes present", among))
    for metric, title, figure in figures:
        table.add_row(title, metric.text(figure.value), f"{metric.text(figure.low)} to {metric.text(figure.high)}")
    return table


def _worst(result: Evaluation) -> Table:
    table = _table(("worst classes", False), ("F1", True), ("precision", True), ("recall", True), ("images", True))
    for item in result.metrics.worst_classes(N_WORST):
        if item.f1 < 1:
            name = Text(_shown(item.readable))
            table.add_row(name, f"{item.f1:.1%}", f"{item.precision:.1%}", f"{item.recall:.1%}", str(item.support))
    return table


def _confusions(result: Evaluation) -> Table:
    table = _table(("most frequent mistakes", False), ("images", True), ("of its class", True))
    for item in result.metrics.most_confused(N_CONFUSIONS):
        name = Text(f"{_shown(item.true)} taken for {_shown(item.predicted)}")
        table.add_row(name, str(item.count), f"{item.share:.0%}")
    return table


def _next_command(result: Evaluation, checkpoint: Path | None) -> str:
    """As it can be pasted: with an image of this split."""
    from ..engine.files.visible import quoted

    if result.facts["is_zero_shot"]:
        return f"clipft train --data-dir {quoted(result.facts['data_dir'])}"
    named = f" --checkpoint {quoted(checkpoint)}" if checkpoint is not None else ""
    image = result.example if Path(result.example).is_file() else "FOLDER"
    return f"clipft predict {quoted(image)} --top-k 5{named}"


def _shown(name: str) -> str:
    from ..engine.files.visible import shortened, visible

    return shortened(visible(name), 60)
