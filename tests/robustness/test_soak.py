"""A long run on a handful of images: neither memory nor open files grow."""

from __future__ import annotations

import gc
import os

import psutil
import pytest

from clipft_cli.engine.events import EpochDone
from clipft_cli.engine.train import train


def soak(tiny, folder, n_epochs: int) -> list[tuple[int, int]]:
    """(resident bytes, open descriptors) after each epoch."""
    process, seen = psutil.Process(), []

    def look(event):
        if isinstance(event, EpochDone):
            gc.collect()
            seen.append((process.memory_info().rss, len(os.listdir("/proc/self/fd"))))

    settings = {
        "training.num_epochs": n_epochs,
        "training.early_stopping.enabled": False,
        "data.few_shot": 2,
        "checkpoint.every_steps": 1,
        "data.num_workers": 2,
    }
    train(tiny.config("full", folder, settings), look)
    return seen


def check(seen, count, n_epochs):
    settled = len(seen) // 4
    # the least of the last few: a thread may have a file open just then, and what leaks is there in all of them
    resident, descriptors = (min(column) for column in zip(*seen[-5:], strict=True))
    grown = resident - seen[settled][0]
    # a leak of one batch or one model an epoch would show as megabytes; the allocator's own noise is less
    assert grown < 16 << 20, f"{grown / 2**20:.1f} MiB more after {n_epochs} epochs"
    # one that an epoch leaves open would add 3 n / 4 of them; a worker's own come and go by two
    assert descriptors <= max(opened for _, opened in seen[: settled + 1])
    count("epochs without growth of memory or open files", n_epochs, n_epochs, f"{grown / 2**20:+.1f} MiB")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_twenty_epochs_do_not_grow(tiny, tmp_path, count):
    check(soak(tiny, tmp_path / "run", 20), count, 20)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_two_hundred_epochs_do_not_grow(tiny, tmp_path, count):
    check(soak(tiny, tmp_path / "run", 200), count, 200)
