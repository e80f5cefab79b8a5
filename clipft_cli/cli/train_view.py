"""A run on the screen: the plan, live progress, one row an epoch; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import shlex
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from .render import Screen, print_prose

if TYPE_CHECKING:
    from ..engine.events import EpochRecord, Event, Plan
    from ..engine.loop.result import TrainResult
    from ..engine.metrics.base import Metric


class TrainView:
    """Shows events as they come; called once an event."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._plan: Plan | None = None
        self._has_header = False

    def __enter__(self) -> TrainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_progress()

    def __call__(self, event: Event) -> None:
        """Show one event; where the terminal or the reader of a pipe has gone, the run goes on unseen."""
        handler = getattr(self, f"_on_{type(event).__name__.lower()}", None)
        if handler is not None:
            with contextlib.suppress(OSError):
                handler(event)

    def _on_note(self, event: Any) -> None:
        if event.is_warning:
            self.screen.warn(event.text)
        else:
            self.screen.say(event.text)

    def _on_progress(self, event: Any) -> None:
        if not self.screen.is_live or self._plan is not None:
            return
        bar = self._bar()
        if self._task is None or bar.tasks[-1].description != event.what:
            self._task = bar.add_task(event.what, total=event.total, detail="")
        bar.update(self._task, completed=event.done)
        if event.done >= event.total:
            self._stop_progress()

    def _on_plan(self, plan: Plan) -> None:
        self._stop_progress()
        self._plan = plan
        for label, value in plan.facts:
            self.screen.say(f"{label:>8}  {value}")
        if plan.groups:
            self.screen.say(_group_table(plan))
        if len(plan.stages) > 1:
            for epoch, what in plan.stages:
                self.screen.say(f"  from epoch {epoch + 1} trains: {what}")

    def _on_epochdone(self, event: Any) -> None:
        record: EpochRecord = event.record
        if not self._has_header:
            self.screen.say(_epoch_header(record))
            self._has_header = True
        self.screen.say(_epoch_line(record, event.is_best))

    def _on_stepdone(self, event: Any) -> None:
        if not self.screen.is_live or self._plan is None:
            return
        bar = self._bar()
        if self._task is None:
            self._task = bar.add_task("training", total=self._plan.total_steps, detail="")
        detail = (
            f"epoch {event.epoch}/{self._plan.num_epochs}  loss {event.loss:.3f}  lr {event.lr:.1e}"
            f"  {event.images_per_second:.0f} images/s  data {event.data_wait_share:.0%}"
            f"  {event.memory_gib:.1f} GiB"
        )
        bar.update(self._task, completed=event.step, detail=detail)

    def _bar(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeRemainingColumn(),
                console=self.screen.err,
                transient=True,
            )
            self._progress.start()
        return self._progress

    def _stop_progress(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress, self._task = None, None


def _epoch_header(record: EpochRecord) -> str:
    val = " ".join(f"{metric.column:>{_width(metric)}}" for metric, _ in _val_cells(record))
    return f"{'epoch':>6} {'train loss':>10} {val} {'images/s':>8}  trains"


def _epoch_line(record: EpochRecord, is_best: bool) -> str:
    train_loss = "-" if record.train_loss is None else f"{record.train_loss:.4f}"
    val = " ".join(f"{metric.text(value):>{_width(metric)}}" for metric, value in _val_cells(record))
    speed = f"{record.images_per_second:.0f}" if record.images_per_second else "-"
    trains = record.trains + ("  best" if is_best else "")
    return f"{record.epoch:>6} {train_loss:>10} {val} {speed:>8}  {trains}"


def _val_cells(record: EpochRecord) -> list[tuple[Metric, float]]:
    from ..engine.metrics import METRICS

    return [(METRICS[name], value) for name, value in record.val.items() if name in METRICS]


def _width(metric: Metric) -> int:
    return max(7, len(metric.column))


def _group_table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    for name, justify in (
        ("layer group", "left"),
        ("parameters", "right"),
        ("peak LR", "right"),
        ("decay", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for group in plan.groups:
        table.add_row(group.name, f"{group.n_parameters:,}", f"{group.peak_lr:.2e}", f"{group.weight_decay:g}")
    return table


def show_trained(out: Console, result: TrainResult) -> None:
    """The end of a run: best against zero-shot, where it lies, what to type next."""
    from ..engine.files.amounts import duration

    gain = (result.best.top1 - result.zero_shot.top1) * 100
    print_prose(
        out, f"best on val: {result.best.top1:.1%} top-1 (zero-shot {result.zero_shot.top1:.1%}, {gain:+.1f} points)"
    )
    if result.epochs:
        early = ", stopped early" if result.stopped_early else ""
        print_prose(
            out,
            f"kept: {_kept(result)}; {result.epochs} epochs in {duration(result.train_seconds)}{early},"
            f" {result.trainable_parameters / 1e6:.2f}M of {result.total_parameters / 1e6:.2f}M parameters trained,"
            f" peak memory {result.peak_memory_gib:.1f} GiB",
        )
    if result.bad_images:
        out.print(f"{result.bad_images} images could not be read: see {result.run_dir / 'problems.csv'}")
    out.print(f"saved: {result.run_dir / result.checkpoint.name}", soft_wrap=True)
    out.print(f"next: clipft evaluate --checkpoint {shlex.quote(str(result.run_dir))} --split test", soft_wrap=True)


def _kept(result: TrainResult) -> str:
    """Which weights became the model."""
    if result.alpha == 0:
        return "the start itself"
    epochs = result.soup.epochs if result.soup else ()
    kept = f"soup of epochs {', '.join(map(str, sorted(epochs)))}" if len(epochs) > 1 else f"epoch {result.best_epoch}"
    return kept + (f", mixed with the start at alpha {result.alpha:g}" if result.alpha < 1 else "")


def show_dry_run(out: Console, rehearsed: dict[str, Any]) -> None:
    """What a rehearsal measured, and what the decision tree would take."""
    from ..engine.files.amounts import duration

    epochs, advice = rehearsed["epochs"], rehearsed["advice"]
    print_prose(
        out,
        f"dry run: {rehearsed['images_per_second']:.0f} images/s, peak memory"
        f" {rehearsed['peak_memory_gib']:.1f} GiB; about {duration(rehearsed['estimated_seconds'])}"
        f"{f' for {epochs} epochs' if epochs else ''}; nothing was written",
    )
    print_prose(out, f"the decision tree says {advice['tree']}, here {advice['method']} ({advice['why']})")
