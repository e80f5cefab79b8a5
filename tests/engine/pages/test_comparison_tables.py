"""The figures behind the plots of a comparison."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.intervals import Interval
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.pages import comparison_tables as tables

NAMES = ["cat", "d<o>g"]
METRICS = measure(Answers(np.eye(2, dtype=np.float32)[[0, 0, 1, 0]], np.array([0, 0, 1, 1])), [(n, n) for n in NAMES])


def row(label: str, course: list, curve: object = None, seconds: float | None = 90.0) -> SimpleNamespace:
    run = SimpleNamespace(course=course, summary={"alpha_curve": curve})
    return SimpleNamespace(
        label=label,
        runs=(run,),
        metrics=(METRICS,),
        top1=Interval(0.75, 0.3, 0.95),
        cost=SimpleNamespace(train_seconds=seconds),
    )


ROWS = [row("lora", [(0, 0.5), (1, 0.75)], [(0.0, 0.5), (1.0, 0.75)]), row("zero_shot", [(0, 0.5)], seconds=None)]


def test_a_cost_beside_its_accuracy():
    table = tables.against(ROWS, lambda row: row.cost.train_seconds, "time", is_time=True)
    assert table.headings == ("method", "time", "top-1 (95% interval)")
    assert table.rows == (("lora", "1.5 min", "75.0% (30.0 to 95.0)"), ("zero_shot", "–", "75.0% (30.0 to 95.0)"))


def test_curves_have_a_row_a_step_and_only_methods_that_are_drawn():
    assert tables.curves(ROWS) == tables.Table(("epoch", "lora"), (("0", "50.0%"), ("1", "75.0%")))
    assert tables.mixes(ROWS) == tables.Table(("alpha", "lora"), (("0", "50.0%"), ("1", "75.0%")))


def test_classes_and_confusions_are_counted():
    assert tables.classes(ROWS, NAMES).rows == (("cat", "2", "100.0%", "100.0%"), ("d<o>g", "2", "50.0%", "50.0%"))
    assert tables.confusion(ROWS[0], NAMES).rows == (
        ("cat", "cat", "2"),
        ("d<o>g", "cat", "1"),
        ("d<o>g", "d<o>g", "1"),
    )
