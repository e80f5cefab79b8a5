"""The learning rate's course: a pure function of the step, right at its corners."""

from __future__ import annotations

import pytest

from clipft_cli.engine.optim.schedule import SCHEDULES, lr_factor, rewarm_factor, warmup_steps


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_warm_up_rises_in_equal_steps_and_never_is_zero(name):
    assert [lr_factor(step, 20, 4, name) for step in range(5)] == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_cosine_at_its_corners():
    assert lr_factor(0, 10, 0, "cosine") == 1.0
    assert lr_factor(5, 10, 0, "cosine") == pytest.approx(0.5)
    assert 0 < lr_factor(9, 10, 0, "cosine") < 0.03
    assert lr_factor(10, 10, 0, "cosine") == 0.0


def test_linear_at_its_corners():
    assert [lr_factor(step, 4, 0, "linear") for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_constant_stays():
    assert {lr_factor(step, 10, 0, "constant") for step in range(12)} == {1.0}


@pytest.mark.parametrize("name", SCHEDULES)
def test_behind_the_end_nothing_turns_back_up(name):
    assert lr_factor(999, 10, 2, name) == SCHEDULES[name](10, 10, 2)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("total", "n_warmup"), [(1, 0), (2, 1), (10, 0), (1000, 100)])
def test_every_schedule_starts_at_its_peak_and_stays_between_it_and_zero(name, total, n_warmup):
    factors = [lr_factor(step, total, n_warmup, name) for step in range(n_warmup, total + 1)]
    assert factors[0] == 1.0
    assert all(0.0 <= factor <= 1.0 for factor in factors)


@pytest.mark.parametrize(
    ("total", "ratio", "steps"), [(100, 0.1, 10), (101, 0.1, 11), (100, 0.0, 0), (1, 0.1, 0), (2, 0.99, 1), (0, 0.5, 0)]
)
def test_the_warm_up_is_a_share_of_the_run_and_never_all_of_it(total, ratio, steps):
    assert warmup_steps(total, ratio) == steps


def test_what_joins_late_warms_up_once_more():
    assert [rewarm_factor(step, 3) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
