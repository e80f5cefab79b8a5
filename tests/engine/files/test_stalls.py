"""A file that is waited for is named, sooner at first and then more seldom."""

from __future__ import annotations

import time

from clipft_cli.engine.files.stalls import reading, telling_of_stalls


def test_a_read_that_lasts_is_told_of_and_names_the_file():
    told: list[str] = []
    with telling_of_stalls(told.append, patience_seconds=0.1), reading("share/cat.jpg"):
        until = time.monotonic() + 20
        while len(told) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert len(told) == 2
    assert all(text.startswith("share/cat.jpg: waiting for ") for text in told)


def test_reads_that_end_are_not_told_of():
    told: list[str] = []
    with telling_of_stalls(told.append, patience_seconds=2.0):
        for n in range(200):
            with reading(f"{n}.jpg"):
                time.sleep(0.001)
    assert told == []
