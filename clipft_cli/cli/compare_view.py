"""A comparison on the screen: each training as `clipft train` shows it, then verdict, table and pairs."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .evaluate_view import EvaluateView
from .render import Screen, print_prose
from .train_view import TrainView

if TYPE_CHECKING:
    from ..engine.comparison.comparison import Comparison, Row
    from ..engine.events import Event


WIDE, GAP, MAX_NAME = 180, 2, 28


class CompareView:
    """Shows events as they come; called once an event."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._inner: TrainView | EvaluateView = EvaluateView(screen)

    def __enter__(self) -> CompareView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Show one event. The layer groups of a plan, a page for each training, are left out."""
        from dataclasses import replace

        from ..engine.events import Begins, Plan, Progress

        if isinstance(event, Begins):
            self._inner.__exit__(None, None, None)
            self.screen.say()
            self.screen.say(Text(event.text, style="bold"))
            self._inner = TrainView(self.screen)
        elif isinstance(event, Plan):
            facts = tuple(fact for fact in event.facts if fact[0] in ("device", "method", "steps", "rule"))
            self._inner(replace(event, facts=facts, groups=()))
        elif isinstance(event, Progress) and event.what.startswith(("measuring", "retention")):
            if isinstance(self._inner, TrainView):
                self._inner.__exit__(None, None, None)
                self._inner = EvaluateView(self.screen)
            self._inner(event)
        else:
            self._inner(event)


def show_compared(console: Console, result: Comparison) -> None:
    """What follows, then the figures, then where the page is."""
    from ..engine.pages.comparison_files import next_command, subtitle

    print_prose(console, subtitle(result))
    console.print()
    for table in _tables(console, result):
        console.print(table)
        console.print()
    console.print(_pairs(result))
    console.print()
    for number, sentence in enumerate(result.verdict):
        print_prose(console, sentence, "bold" if number == 0 else "")
    console.print()
    print_prose(console, _how(result))
    console.print(Text(f"written: {result.output_dir}/compare.html, compare.md, compare.json"), soft_wrap=True)
    console.print(Text(f"next: {next_command(result)}"), soft_wrap=True)


def _tables(console: Console, result: Comparison) -> list[Table]:
    """Results and costs: as many columns beside each other as the terminal is wide, the rest below."""
    from ..engine.pages.comparison_files import HEADINGS, cells, shown_columns

    is_narrow = console.width < WIDE
    table = [cells(row) for row in result.rows]
    texts = {
        i: [_broken(cell, is_narrow) for cell in (HEADINGS[i], *(values[i] for values in table))]
        for i in shown_columns(result)
    }
    widths = {i: max(len(line) for cell in cells for line in cell.splitlines()) for i, cells in texts.items()}
    names = min(widths[0], MAX_NAME)
    parts: list[list[int]] = [[]]
    for i in list(texts)[1:]:
        if parts[-1] and names + sum(widths[j] + GAP for j in (*parts[-1], i)) > console.width:
            parts.append([])
        parts[-1].append(i)
    return [_table(texts, part) for part in parts]


def _table(texts: dict[int, list[str]], columns: list[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column(texts[0][0], overflow="fold", max_width=MAX_NAME)
    for i in columns:
        table.add_column(texts[i][0], justify="right")
    for n in range(1, len(texts[0])):
        table.add_row(*(Text(texts[i][n]) for i in (0, *columns)))
    return table


def _broken(cell: str, is_narrow: bool) -> str:
    """A heading on two lines; on a narrow terminal an interval below its value."""
    if "(" in cell or ", " in cell:
        return cell.replace(" (", "\n(", 1).replace(", ", ",\n", 1) if is_narrow else cell
    return cell.replace(" ", "\n", 1) if cell in ("trainable parameters", "training time", "size on disk") else cell


def _pairs(result: Comparison) -> Table:
    from ..engine.comparison.comparison import ranked_rows
    from ..engine.comparison.verdict import p_text, tuned_both_ways
    from ..engine.files.visible import visible

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("pair, on the same images", overflow="fold")
    for heading in ("points (95% interval)", "p" + (", Holm" if result.correction == "holm" else ""), "shown"):
        table.add_column(heading, justify="right")
    best, *others = ranked_rows(result.rows)
    wanted: list[tuple[Row, Row]] = [(best, other) for other in others]
    both = tuned_both_ways(result.rows)
    if both is not None and best not in both:
        wanted.append(both)
    for first, second in wanted:
        pair = result.pair(first.label, second.label)
        d = pair.difference
        gap = f"{100 * d.value:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
        name = Text(f"{visible(first.label)} minus {visible(second.label)}")
        table.add_row(name, gap, p_text(pair.p_adjusted), "yes" if pair.is_shown else "no")
    return table


def _how(result: Comparison) -> str:
    from ..engine.pages.comparison_files import NO_ENERGY

    seeds = (
        "one seed a method" if result.n_seeds == 1 else f"{result.n_seeds} seeds a method, p twice the median over them"
    )
    correction = ", corrected for all pairs by Holm's method" if result.correction == "holm" else ", not corrected"
    energy = "" if any(row.cost.energy_joules for row in result.rows) else f"; {NO_ENERGY}"
    return f"{seeds}; difference: paired bootstrap; p: McNemar's exact test{correction}{energy}"
