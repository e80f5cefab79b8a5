"""Batches: an order that is a function of (seed, epoch), the same whatever the threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clipft_cli.engine.images.loader import Loader, epoch_order, in_batches
from clipft_cli.engine.machine.hardware import worker_count

CPU = torch.device("cpu")
LABELS = np.array([0] * 90 + [1] * 9 + [2])


def pixels_of(index: int) -> np.ndarray:
    return np.full((3, 2, 2), index, dtype=np.uint8)


def test_an_epoch_visits_every_image_once():
    assert sorted(epoch_order(LABELS, seed=1, epoch=0)) == list(range(100))


def test_the_order_is_a_function_of_seed_and_epoch():
    order = epoch_order(LABELS, seed=1, epoch=2)
    assert np.array_equal(order, epoch_order(LABELS, seed=1, epoch=2))
    assert not np.array_equal(order, epoch_order(LABELS, seed=1, epoch=3))
    assert not np.array_equal(order, epoch_order(LABELS, seed=2, epoch=2))


def test_the_sampler_draws_every_class_as_often():
    drawn = np.concatenate([epoch_order(LABELS, seed=0, epoch=e, balance="sampler") for e in range(60)])
    shares = np.bincount(LABELS[drawn], minlength=3) / len(drawn)
    assert np.allclose(shares, 1 / 3, atol=0.03)
    assert len(epoch_order(LABELS, seed=0, epoch=0, balance="sampler")) == 100


def test_the_sampler_leaves_out_no_class_that_is_empty():
    order = epoch_order(np.array([0, 0, 2, 2]), seed=0, epoch=0, balance="sampler")
    assert set(order) <= {0, 1, 2, 3}


@pytest.mark.parametrize("workers", [0, 1, 5])
def test_batches_come_in_order_with_their_labels(workers):
    loader = Loader(workers)
    order = epoch_order(LABELS, seed=4, epoch=0)
    batches = list(loader.batches(in_batches(order, 16), pixels_of, LABELS, CPU))
    loader.close()
    assert [len(batch.labels) for batch in batches] == [16] * 6 + [4]
    assert np.array_equal(np.concatenate([batch.indexes for batch in batches]), order)
    assert np.array_equal(torch.cat([batch.pixels[:, 0, 0, 0] for batch in batches]).numpy(), order)
    assert np.array_equal(torch.cat([batch.labels for batch in batches]).numpy(), LABELS[order])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_workers_error_reaches_the_one_who_asked(workers):
    def fail(index: int) -> np.ndarray:
        raise ValueError(f"image {index}")

    loader = Loader(workers)
    with pytest.raises(ValueError, match="image 3"):
        next(loader.batches([np.array([3])], fail, LABELS, CPU))
    loader.close()


def test_a_pass_left_early_leaves_no_work_behind():
    seen = []

    def slow(index: int) -> np.ndarray:
        seen.append(index)
        return pixels_of(index)

    loader = Loader(1)
    batches = loader.batches(in_batches(np.arange(100), 2), slow, LABELS, CPU)
    next(batches)
    batches.close()
    loader.close()
    assert len(seen) <= 8


def test_time_spent_waiting_is_taken_once():
    loader = Loader(0)
    list(loader.batches(in_batches(np.arange(10), 2), pixels_of, LABELS, CPU))
    assert loader.take_waited() > 0
    assert loader.take_waited() == 0


@pytest.mark.parametrize(("n", "size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (0, 4, [])])
def test_cutting_into_batches(n, size, sizes):
    assert [len(batch) for batch in in_batches(np.arange(n), size)] == sizes


def test_workers_as_asked_or_one_a_core_and_sixteen_at_most():
    assert worker_count(0) == 0
    assert worker_count(40) == 40
    assert 1 <= worker_count("auto") <= 16
