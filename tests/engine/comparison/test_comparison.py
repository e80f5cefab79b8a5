"""Pairs and verdicts on constructed answers: what must be called shown, what must not, and why."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clipft_cli.engine.comparison.comparison import Row, build_pairs, mean_over_seeds, mean_share
from clipft_cli.engine.comparison.cost import Cost
from clipft_cli.engine.comparison.enough import too_few
from clipft_cli.engine.comparison.paired import holm, mcnemar
from clipft_cli.engine.comparison.verdict import differing_bases, recommended, verdict
from clipft_cli.engine.metrics import REPORTED
from clipft_cli.engine.metrics.answers import Answers
from clipft_cli.engine.metrics.intervals import Interval, wilson
from clipft_cli.engine.metrics.metrics import measure
from clipft_cli.engine.pages.comparison_files import HEADINGS, _md, cells, shown_columns
from clipft_cli.engine.pages.comparison_plots import calibration, confusion
from clipft_cli.engine.pages.svg_plots import named

SEEDS = (0.7, 0.75, 0.85, 0.9)


def row(label: str, hits: np.ndarray, *, seconds: float = 10.0, trained: int = 1000, size: int = 10**6) -> Row:
    hits = np.atleast_2d(hits).astype(bool)
    nothing = Interval(0.0, 0.0, 0.0)
    return Row(
        label=label,
        method=label,
        preset=label,
        model="tiny",
        runs=(SimpleNamespace(path=Path(label), summary={}, meta={}),),
        seeds=tuple(range(len(hits))),
        metrics=(SimpleNamespace(classes=range(10)),),
        hits=hits,
        answers=np.zeros(hits.shape[1], dtype=int),
        confidence=np.ones(hits.shape[1]),
        figures={metric.name: nothing for metric in REPORTED} | {"top1": mean_share(hits)},
        ece_uncalibrated=0.0,
        retention=None,
        cost=Cost(trained, 10_000, seconds, 100.0, 1.0, None, {}, size),
    )


def answers(n_right: int, n: int = 200, *, wrong_first: int = 0) -> np.ndarray:
    """Right on `n_right` images after the first `wrong_first`."""
    hits = np.zeros(n, dtype=bool)
    hits[wrong_first : wrong_first + n_right] = True
    return hits


def test_a_clear_winner_is_named_with_its_gain_and_its_cost():
    rows = [row("zero_shot", answers(100), seconds=1, trained=0), row("full", answers(160), seconds=60)]
    pairs = build_pairs(rows, "holm")
    lines = verdict(rows, pairs, "holm")
    assert lines[0] == "Use full: 80.0% top-1 on 200 images, shown better than zero_shot."
    assert lines[1].startswith("full beats zero_shot by 30.0 points (95% interval +23.5 to +36.5), p < 0.0001")
    assert lines[-1] == ("full costs 60 s of training instead of 1.0 s (zero_shot).")


def test_without_a_shown_difference_the_cheapest_is_advised_and_images_are_named():
    rows = [row("lora", answers(150), seconds=20), row("full", answers(153), seconds=60)]
    pairs = build_pairs(rows, "holm")
    assert recommended(rows, pairs).label == "lora"
    lines = verdict(rows, pairs, "holm")
    assert lines[0].startswith("Use lora: no difference shown at this n (200 images) between it (75.0% top-1)")
    assert lines[0].endswith("it is the cheapest of those; it may be up to 3.5 points worse.")
    assert "no difference shown at this n; about" in lines[1]
    assert "images would be needed" in lines[1]


def test_a_method_that_the_interval_alone_calls_worse_is_not_advised_for_being_cheap():
    rows = [row("zero_shot", answers(145, 150), seconds=1, trained=0), row("full", answers(150, 150), seconds=60)]
    pairs = build_pairs(rows, "holm")
    assert not pairs[0].is_shown  # five images that differ prove nothing
    assert recommended(rows, pairs).label == "full"
    lines = verdict(rows, pairs, "holm")
    assert lines[0] == (
        "Use full: 100.0% top-1 on 150 images. No difference is shown to zero_shot;"
        " zero_shot would cost less, but by the interval alone would be worse."
    )
    assert "no difference shown at this n (by the interval alone there would be one)" in lines[1]
    assert lines[-1] == "full costs 60 s of training instead of 1.0 s (zero_shot)."


@pytest.mark.parametrize("n", [1, 7, 24, 60])
def test_few_images_recommend_nothing_and_say_how_many_would(n):
    rows = [row("zero_shot", answers(round(0.57 * n), n)), row("lora", answers(round(0.4 * n), n))]
    pairs = build_pairs(rows, "holm")
    assert recommended(rows, pairs) is None
    first, second, *_ = verdict(rows, pairs, "holm")
    which = f"These {n} images" if n > 1 else "One image"
    assert first.startswith(f"{which} cannot tell which to use: an accuracy is known to ")
    assert re.search(r"About (8\d|9\d|100) would bring that to 20 points", first)
    assert second.startswith("Most right on them: zero_shot, ")
    assert not any(line.startswith("Use ") for line in verdict(rows, pairs, "holm"))


def test_what_few_images_show_is_still_said_but_advises_nothing():
    rows = [row("zero_shot", answers(4, 40)), row("lora", answers(30, 40))]
    pairs = build_pairs(rows, "holm")
    lines = verdict(rows, pairs, "holm")
    assert lines[0].startswith("These 40 images cannot tell")
    assert any(line.startswith("lora beats zero_shot by 65.0 points") for line in lines)
    assert recommended(rows, pairs) is None


def test_a_hundred_images_are_always_enough():
    assert all(too_few([wilson(k, 100)], 100) is None for k in range(101))
    assert too_few([wilson(29, 30)], 30) is None
    few = too_few([wilson(15, 30)], 30)
    assert few.n_needed == 93
    assert few.width == pytest.approx(0.3371, abs=1e-3)


def test_equal_answers_promise_no_number_of_images():
    rows = [row("lora", answers(150)), row("full", answers(150))]
    lines = verdict(rows, build_pairs(rows, "holm"), "holm")
    assert "no number of images can be named" in " ".join(lines)


def test_the_p_values_are_mcnemars_adjusted_over_all_pairs():
    a, b, c = answers(120), answers(132), answers(140, wrong_first=4)
    rows = [row("a", a), row("b", b), row("c", c)]
    pairs = build_pairs(rows, "holm")
    expected = [mcnemar(x, y).p for x, y in ((a, b), (a, c), (b, c))]
    assert [pair.p for pair in pairs] == pytest.approx(expected)
    assert [pair.p_adjusted for pair in pairs] == pytest.approx(holm(expected))
    assert [pair.p_adjusted for pair in build_pairs(rows, "none")] == pytest.approx(expected)


def test_over_seeds_p_is_twice_the_median_and_one_run_stands_for_all():
    seeds = np.stack([answers(150), answers(140), answers(130)])
    pair = build_pairs([row("full", seeds), row("zero_shot", answers(120))], "none")[0]
    singles = sorted(mcnemar(hits, answers(120)).p for hits in seeds)
    assert pair.p == pytest.approx(min(1.0, 2 * singles[1]))
    assert pair.difference.value == pytest.approx(0.1)


def test_an_accuracy_over_seeds_is_never_surer_than_over_images_alone():
    seeds = np.stack([answers(150), answers(150)])
    assert mean_share(seeds[:1]) == wilson(150, 200)
    both = mean_share(seeds)
    assert both.value == 0.75
    assert both.low <= wilson(150, 200).low
    assert both.high >= wilson(150, 200).high


def test_models_that_do_not_differ_are_called_different_at_most_5_times_in_100():
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(400):
        a, b, c = (rng.random(150) < 0.75 for _ in range(3))
        false += min(holm([mcnemar(x, y).p for x, y in ((a, b), (a, c), (b, c))])) < 0.05
    assert false / 400 <= 0.05


def test_a_confusion_matrix_of_many_classes_keeps_its_size_and_is_named():
    names = [f"breed {i} <b>" for i in range(40)]
    labels = np.arange(40)
    metrics = measure(Answers(np.eye(40, dtype=np.float32), labels), [(name, name) for name in names])
    drawn = named(confusion(SimpleNamespace(metrics=[metrics]), names), 'of "full"')
    assert drawn.startswith('<svg aria-label="of &#34;full&#34;" class="plot large" style="--width: 960px" role="img"')
    assert "breed 39 &lt;b&gt;" in drawn


def test_markdown_is_escaped_where_it_would_act_and_nowhere_else():
    assert _md("zero_shot: p < 0.01, <b> _x_ a|b") == r"zero_shot: p < 0.01, \<b\> \_x\_ a\|b"


def test_a_run_that_kept_its_start_is_told_as_a_tie():
    kept = SimpleNamespace(path=Path("lora"), summary={"epochs": 3, "alpha": 0.0, "start_kind": "probe"}, meta={})
    rows = [row("linear_probe", answers(150)), replace(row("lora", answers(150)), runs=(kept,))]
    assert rows[1].kept == "its start (linear probe)"
    told = [line for line in verdict(rows, build_pairs(rows, "holm"), "holm") if "tie" in line]
    assert told == ["lora: training did not beat its start on val, so the start was kept: that is a tie with it."]


def test_of_several_seeds_those_that_kept_their_start_are_named():
    runs = tuple(SimpleNamespace(summary={"epochs": 3, "alpha": alpha}) for alpha in (0.5, 0.0, 0.0))
    rows = [row("linear_probe", answers(150)), replace(row("lora", np.stack([answers(150)] * 3)), runs=runs)]
    told = [line for line in verdict(rows, build_pairs(rows, "holm"), "holm") if "tie" in line]
    assert told[0].startswith("lora (seed 1, 2): training did not beat its start on val")


def test_a_soup_that_was_kept_is_told():
    facts = {"epochs": 6, "best_epoch": 4, "alpha": 0.75, "soup": {"epochs": [6, 4], "tried": []}}
    mixed = replace(row("lora", answers(150)), runs=(SimpleNamespace(summary=facts),))
    assert mixed.kept == "soup of epochs 4, 6 of 6, mixed with its start at alpha 0.75"


def test_energy_has_a_column_where_a_run_reports_it():
    silent = row("lora", answers(150))
    told = replace(silent, label="full", cost=replace(silent.cost, energy_joules={"gpu": 3600.0}))
    for rows, has_column in (((silent, silent), False), ((silent, told), True)):
        shown = [HEADINGS[i] for i in shown_columns(SimpleNamespace(rows=rows))]
        assert ("energy" in shown) == has_column
    assert cells(told)[HEADINGS.index("energy")] == "GPU 1 Wh"


def test_a_calibration_plot_that_would_be_empty_is_left_out():
    labels = np.arange(4)
    rows = {}
    for n in (1, 2):
        said = Answers(np.tile(np.eye(4, dtype=np.float32), (n, 1)), np.tile(labels, n))
        measured = replace(row("full", answers(4 * n, 4 * n)), metrics=(measure(said, [("a", "a")] * 4),))
        rows[n] = calibration([measured])
    assert rows[1] is None  # four images in one bin
    assert "<svg" in rows[2]


def test_a_probe_that_lost_to_the_prompts_is_a_tie_with_them():
    runs = (SimpleNamespace(summary={"epochs": 0, "alpha": 1.0, "start_kind": "text"}, meta={}, path=Path("p")),)
    rows = [row("zero_shot", answers(150), trained=0), replace(row("linear_probe", answers(150)), runs=runs)]
    assert rows[1].kept == "class prompts"
    assert verdict(rows, build_pairs(rows, "holm"), "holm")[-1].startswith(
        "linear_probe: training did not beat its start"
    )


def test_retention_is_told_of_one_base_model_and_several_are_named():
    def started(label: str, base: str, left: float) -> Row:
        run = SimpleNamespace(summary={}, meta={}, path=Path(label), weights_digest=base)
        return replace(row(label, answers(150)), runs=(run,), model=base, retention=Interval(left, 0.0, 1.0))

    rows = [started("zero_shot", "small", 0.8), started("lora", "small", 0.7), started("full", "large", 0.9)]
    told = verdict(rows, build_pairs(rows, "holm"), "holm")[-1]
    assert told == "Retention, zero-shot on the second data set: 80.0% before, after it lora 70.0% (-10.0 points)."
    assert differing_bases(rows)[0].endswith(
        "methods are not all that differs: small (zero_shot and lora); large (full)"
    )
    assert differing_bases(rows[:2]) == []


def test_the_better_of_a_pair_comes_first_wherever_it_is_told():
    rows = [row("zero_shot", answers(100)), row("full", answers(160)), row("lora", answers(150))]
    pairs = build_pairs(rows, "holm")
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("full", "zero_shot"),
        ("lora", "zero_shot"),
        ("full", "lora"),
    ]
    assert all(pair.difference.value > 0 for pair in pairs)


def test_a_mean_over_seeds_reaches_over_the_images_and_over_the_seeds() -> None:
    assert mean_over_seeds([Interval(0.8, 0.7, 0.85)]) == Interval(0.8, 0.7, 0.85)
    alike, apart = (mean_over_seeds([Interval(v, v - 0.1, v + 0.05) for v in values]) for values in ((0.8,) * 4, SEEDS))
    assert (alike.value, alike.low, alike.high) == pytest.approx((0.8, 0.7, 0.85))
    of_seeds = 1.959964 * np.std(SEEDS, ddof=1) / 2
    assert (apart.value, apart.low, apart.high) == pytest.approx(
        (0.8, 0.8 - np.hypot(0.1, of_seeds), 0.8 + np.hypot(0.05, of_seeds))
    )


def test_a_mean_over_seeds_keeps_its_bounds() -> None:
    mean = mean_over_seeds([Interval(0.9, 0.8, 1.0), Interval(1.0, 0.9, 1.0), Interval(0.6, 0.5, 0.7)], (0.0, 1.0))
    assert mean.high == 1.0
    assert mean.low < 0.7
