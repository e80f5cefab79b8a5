"""Work before its turn: in order, never more than asked for, and given up when nobody wants it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from clipft_cli.engine.machine.ahead import Ahead


def test_results_come_in_the_order_of_the_items_and_few_are_begun_before_their_turn():
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item * 10

    with ThreadPoolExecutor(4) as pool:
        for n, done in enumerate(Ahead(pool, work, range(50), 5)):
            assert done == n * 10
            assert max(begun) < n + 5
    assert sorted(begun) == list(range(50))


def test_work_begins_before_the_first_is_asked_for():
    has_begun = threading.Event()
    with ThreadPoolExecutor(1) as pool, closing(Ahead(pool, lambda item: has_begun.set(), range(3), 2)):
        assert has_begun.wait(5)


def test_an_error_is_raised_in_its_turn():
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    found = []
    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="the third"):
        found.extend(Ahead(pool, work, range(5), 4))
    with ThreadPoolExecutor(2) as pool:
        ahead = iter(Ahead(pool, work, range(5), 4))
        assert [next(ahead), next(ahead)] == [0, 1]


def test_what_has_not_begun_is_given_up():
    begun, may_end = [], threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        may_end.wait(5)

    with ThreadPoolExecutor(1) as pool:
        Ahead(pool, work, range(10), 10).close()
        may_end.set()
    assert len(begun) <= 1
