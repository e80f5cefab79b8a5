"""SIGINT and SIGTERM: the step is finished, saved, and the run goes on later as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from broken_runs import Ended, assert_same, clean_error, clipft_in, ended, start_in
from test_chaos import TRAIN, drawn_place, wait_for  # noqa: F401 - a fixture


def signalled(folder: Path, number: int, until: Path, *args: str, again: bool = False) -> Ended:
    """`clipft ARGS`, sent a signal once `until` is there; the seconds are those from the signal to the end."""
    process = start_in(folder, *args)
    wait_for(until)
    began = time.monotonic()
    os.kill(process.pid, number)
    if again:
        time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):  # it may be over by itself
            os.kill(process.pid, number)
    process.join(60)
    return ended(process, folder, time.monotonic() - began)


MOMENTS = ("config.yaml", "start", "resume/step-000000002", "checkpoint-epoch-1", "last")
EVERY = [(number, moment) for number in (signal.SIGINT, signal.SIGTERM) for moment in MOMENTS]
FEW = (EVERY[0], EVERY[2], EVERY[8])


@pytest.mark.parametrize(
    ("number", "moment"), [pytest.param(*one, marks=() if one in FEW else pytest.mark.slow) for one in EVERY]
)
def test_a_signal_ends_the_run_resumable(place, whole_run, count, number, moment):
    whole = whole_run()[0]
    done = signalled(place, number, place / "run" / moment, "train", "-o", "run", *TRAIN)
    if done.code == 0:
        pytest.skip("the run was over before the signal came")
    clean_error(done, 75, "interrupted", "hint: go on with `clipft train --resume run`")
    assert done.seconds < 10
    assert clipft_in(place, "train", "--resume", "run").code == 0
    assert_same(place / "run", whole)
    count("SIGINT or SIGTERM in a run", 1, 1, moment)


@pytest.mark.slow
def test_the_embedded_run_stops_within_ten_seconds(drawn_place, count):  # noqa: F811
    folder, train, whole, _ = drawn_place
    done = signalled(folder, signal.SIGTERM, folder / "run" / "resume", "train", "-o", "run", *train)
    clean_error(done, 75)
    assert done.seconds < 10
    assert clipft_in(folder, "train", "--resume", "run").code == 0
    assert_same(folder / "run", whole)
    count("SIGINT or SIGTERM in a run", 1, 1, f"embedded, {done.seconds:.1f} s to the end")


def test_a_second_signal_leaves_at_once(place):
    args = ("train", "-o", "run", *TRAIN, "--set", "training.num_epochs=5000", "--set", "data.batch_size=39")
    process = start_in(place, *args)
    wait_for(place / "run" / "resume")
    os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):  # it may be over by itself
        os.kill(process.pid, signal.SIGTERM)  # both are pending before the step ends, or it has ended by itself
    process.join(10)
    assert process.exitcode in (128 + signal.SIGTERM, 75)


@pytest.mark.parametrize(
    "args",
    [
        ("prepare", "--num-classes", "10", "--samples-per-class", "200"),
        ("evaluate", "--checkpoint", "run"),
        ("predict", "--checkpoint", "run", "-o", "out.csv", "--format", "csv", "data"),
    ],
)
def test_other_commands_leave_nothing_half_written(place, args):
    if args[0] != "prepare":
        assert clipft_in(place, "train", "-o", "run", *TRAIN, "--set", "training.num_epochs=1").code == 0
    before = {p for p in place.rglob("*") if p.suffix != ".txt"}
    process = start_in(place, *args)
    time.sleep(0.25)
    with contextlib.suppress(ProcessLookupError):  # it may be over by itself
        os.kill(process.pid, signal.SIGINT)
    process.join(30)
    done = ended(process, place)
    if done.code == 0:
        pytest.skip("it was over before the signal came")
    assert done.code == 130
    assert "Traceback" not in done.err
    assert {p for p in place.rglob("*") if p.suffix != ".txt"} - before <= {place / "data"}
