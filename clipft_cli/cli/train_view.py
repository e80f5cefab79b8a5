"""A run on the screen: the plan, live progress, one row an epoch; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from .render import Screen, print_prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.events import EpochDone, EpochRecord, Event, Group, Note, Plan, StepDone
    from ..engine.events import Progress as Reached
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
        from ..engine import events  # whoever sends one has it

        with contextlib.suppress(OSError):
            match event:
                case events.Note():
                    self._on_note(event)
                case events.Progress():
                    self._on_progress(event)
                case events.Plan():
                    self._on_plan(event)
                case events.StepDone():
                    self._on_step(event)
                case events.EpochDone():
                    self._on_epoch(event)

    def _on_note(self, event: Note) -> None:
        if event.is_warning:
            self.screen.warn(event.text)
        else:
            self.screen.say(event.text)

    def _on_progress(self, event: Reached) -> None:
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
            self.screen.say(_group_table(plan, whole=self.screen.mode.verbose))
        if len(plan.stages) > 1:
            for epoch, what in plan.stages:
                self.screen.say(f"  from epoch {epoch + 1} trains: {what}")

    def _on_epoch(self, event: EpochDone) -> None:
        record: EpochRecord = event.record
        width = self.screen.err.width if self.screen.err.is_terminal else FULL_WIDTH
        n_classes = self._plan.n_classes if self._plan is not None else sys.maxsize
        if not self._has_header:
            self.screen.say(_epoch_header(record, width, n_classes))
            self._has_header = True
        self.screen.say(_epoch_line(record, event.is_best, width, n_classes))

    def _on_step(self, event: StepDone) -> None:
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


ROOM = 24
"""Columns for what trains, the last of the table: `start (linear probe)`."""

FULL_WIDTH = 160
"""Of a line in a file or a pipe."""

NARROW = 80
"""Columns of a terminal below which a row of the table has no train loss, so that it stays on one line."""


def _epoch_header(record: EpochRecord, width: int, n_classes: int) -> str:
    val = " ".join(f"{metric.column:>{_width(metric)}}" for metric, _ in _val_cells(record, width, n_classes))
    train = "" if width < NARROW else f" {'train loss':>10}"
    return f"{'epoch':>5}{train} {val}  trains"


def _epoch_line(record: EpochRecord, is_best: bool, width: int, n_classes: int) -> str:
    """One line: what does not fit is left out, in metrics.jsonl it is."""
    train_loss = "-" if record.train_loss is None else f"{record.train_loss:.4f}"
    val = " ".join(f"{metric.text(value):>{_width(metric)}}" for metric, value in _val_cells(record, width, n_classes))
    train = "" if width < NARROW else f" {train_loss:>10}"
    line = f"{record.epoch:>5}{train} {val}  "
    mark = "  best" if is_best else ""
    room = max(8, width - len(line) - len(mark))
    trains = record.trains if len(record.trains) <= room else record.trains[: room - 3].rstrip() + "..."
    return line + trains + mark


def _val_cells(record: EpochRecord, width: int, n_classes: int) -> list[tuple[Metric, float]]:
    from ..engine.metrics import METRICS

    known = [(METRICS[name], value) for name, value in record.val.items() if name in METRICS]
    cells = [(metric, value) for metric, value in known if n_classes >= metric.min_classes]
    left = width - ROOM - (6 if width < NARROW else 17)
    while len(cells) > 2 and sum(_width(metric) + 1 for metric, _ in cells) > left:
        cells.pop()
    return cells


def _width(metric: Metric) -> int:
    return max(7, len(metric.column))


def _group_table(plan: Plan, *, whole: bool) -> Table:
    """Layers that learn alike in one row, or, where `whole`, every group by itself."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    for name, justify in (
        ("layer group" if whole else "layers", "left"),
        ("parameters", "right"),
        ("peak LR", "right"),
        ("decay", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    if whole:
        for group in plan.groups:
            table.add_row(group.name, f"{group.n_parameters:,}", f"{group.peak_lr:.2e}", f"{group.weight_decay:g}")
    else:
        for row in _alike(plan.groups):
            table.add_row(*row)
    return table


def _alike(groups: Sequence[Group]) -> list[tuple[str, str, str, str]]:
    """Rows of layers below the peak rate, whose rates rise layer by layer, and of those at it."""
    from ..engine.optim.groups import in_words

    peak = max(group.peak_lr for group in groups)
    rows = []
    for part in ([g for g in groups if g.peak_lr < peak], [g for g in groups if g.peak_lr == peak]):
        if not part:
            continue
        low, high = min(group.peak_lr for group in part), max(group.peak_lr for group in part)
        rate = f"{high:.1e}" if low == high else f"{low:.1e} to {high:.1e}"
        decay = max(group.weight_decay for group in part)  # 0 on what is never decayed
        rows.append((in_words(part), f"{sum(group.n_parameters for group in part):,}", rate, f"{decay:g}"))
    return rows


def _parameters(n: int) -> str:
    """`5.56M`, and `17,500` of few."""
    return f"{n / 1e6:.2f}M" if n >= 100_000 else f"{n:,}"


def show_trained(out: Console, result: TrainResult) -> None:
    """The end of a run: what was kept and whose merit that is, where it lies, what to type next."""
    from ..engine.files.amounts import count, duration
    from ..engine.files.visible import quoted

    print_prose(out, _outcome(result))
    if result.epochs:
        early = ", stopped early" if result.stopped_early else ""
        print_prose(
            out,
            f"kept: {result.kept.words}; {count(result.epochs, 'epoch')} in {duration(result.train_seconds)}{early},"
            f" {_parameters(result.trainable_parameters)} of {_parameters(result.total_parameters)} parameters trained,"
            f" peak memory {result.peak_memory_gib:.1f} GiB",
        )
        if result.kept.is_start:
            print_prose(out, _what_to_try(result))
    if result.bad_images:
        out.print(f"{count(result.bad_images, 'image')} could not be read: see {result.run_dir / 'problems.csv'}")
    out.print(f"saved: {result.run_dir / result.checkpoint.name}", soft_wrap=True)
    if result.epochs:
        out.print(f"curves: tensorboard --logdir {quoted(result.run_dir.parent)}", soft_wrap=True)
    if not result.n_test_images:
        print_prose(out, "there are no test images: val, which chose the epoch, is all that can be measured")
    split = "test" if result.n_test_images else "val"
    out.print(f"next: clipft evaluate --checkpoint {quoted(result.run_dir)} --split {split}", soft_wrap=True)


def _outcome(result: TrainResult) -> str:
    """The figure on val, with what it is measured against: the start first, whose merit is not fine-tuning's."""
    best, start, zero = result.best.top1, result.start.top1, result.zero_shot.top1
    is_text = result.start_kind == "text"
    beside = "" if is_text else f" (zero-shot: {zero:.1%})"
    name = "zero-shot, which it started from" if is_text else "the linear probe it started from"
    if not result.epochs:
        what = "zero-shot" if is_text else "the linear probe"
        return f"best on val: {best:.1%} top-1: {what}{beside}"
    if result.kept.is_start:
        return f"best on val: {best:.1%} top-1: {name}; fine-tuning added nothing{beside}"
    gain = (best - start) * 100
    if round(gain, 1) == 0:
        return f"best on val: {best:.1%} top-1, no more than {name}{beside}"
    measured = f"{start:.1%}" if is_text else f"{start:.1%}; zero-shot: {zero:.1%}"
    return f"best on val: {best:.1%} top-1, {gain:+.1f} points over {name} ({measured})"


def _what_to_try(result: TrainResult) -> str:
    """Where fine-tuning added nothing: the two settings that most often decide it, and what there is already."""
    from ..engine.files.visible import quoted

    on_val = "" if result.n_test_images else " --split val"
    compared = f"clipft compare {quoted(result.run_dir)} linear_probe{on_val}"
    settings = f"--set training.learning_rate={result.learning_rate / 3:.1g}"
    longer = f"--set training.num_epochs={2 * result.epochs}"
    as_good = "`clipft train --method linear_probe` gives the same in seconds; " if result.start_kind == "probe" else ""
    same = f"clipft train --config {quoted(result.run_dir / 'config.yaml')}"
    return (
        f"to try: a lower rate (`{same} {settings}`) or more epochs (`{longer}`);"
        f" {as_good}`{compared}` says what is shown"
    )


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
    other = "" if advice["method"] == rehearsed["method"] else f", not {advice['method']}"
    print_prose(
        out, f"the decision tree says {advice['tree']} ({advice['why']}); this run is {rehearsed['method']}{other}"
    )
