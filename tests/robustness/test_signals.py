"""SIGINT, SIGTERM, SIGHUP: the step is finished, saved, and the run goes on later as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from broken_runs import Breakage, Ended, assert_same, clean_error, clipft_in, ended, start_in
from test_chaos import TRAIN, drawn_place, wait_for  # noqa: F401 - a fixture

from clipft_cli.cli.interrupt import signals_raise
from clipft_cli.engine.images.loader import epoch_order
from clipft_cli.engine.machine.signals import Stopped, StopRequest
from clipft_cli.engine.manifest import read_manifest


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
EVERY = [(number, moment) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) for moment in MOMENTS]
FEW = (EVERY[0], EVERY[2], EVERY[8], EVERY[13])


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
    count("SIGINT, SIGTERM or SIGHUP in a run", 1, 1, moment)


@pytest.mark.slow
def test_the_embedded_run_stops_within_ten_seconds(drawn_place, count):  # noqa: F811
    folder, train, whole, _ = drawn_place
    done = signalled(folder, signal.SIGTERM, folder / "run" / "resume", "train", "-o", "run", *train)
    clean_error(done, 75)
    assert done.seconds < 10
    assert clipft_in(folder, "train", "--resume", "run").code == 0
    assert_same(folder / "run", whole)
    count("SIGINT, SIGTERM or SIGHUP in a run", 1, 1, f"embedded, {done.seconds:.1f} s to the end")


def test_a_second_signal_leaves_at_once(place):
    args = ("train", "-o", "run", *TRAIN, "--set", "training.num_epochs=5000", "--set", "data.batch_size=39")
    process = start_in(place, *args)
    wait_for(place / "run" / "resume")
    os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):  # it may be over by itself
        os.kill(process.pid, signal.SIGTERM)  # both are pending before the step ends, or it has ended by itself
    process.join(10)
    assert process.exitcode in (128 + signal.SIGTERM, 75)
    said = (place / "stderr.txt").read_text()
    assert "clipft train --resume run`" in said
    assert process.exitcode == 75 or "interrupted again: left at once; the run is as it was last saved" in said


def test_a_signal_ends_a_long_fit_of_the_probe(place):
    """Nothing is saved before it is done: no reason to wait for the end of the sweep, which would take minutes."""
    many = ",".join(f"{1 + n / 1e5}" for n in range(20_000))
    args = ("train", "-o", "run", *TRAIN, "-m", "linear_probe", "--set", f"linear_probe.c_values=[{many}]")
    process = start_in(place, *args)
    wait_for(place / "run" / "config.yaml")
    time.sleep(1.5)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    done = ended(process, place, time.monotonic() - began)
    clean_error(done, 75, "interrupted while the start was measured", "hint: go on with `clipft train --resume run`")
    assert done.seconds < 5


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_waits_for_a_file_is_saved_and_ends(place, count, workers):
    """The last file of an epoch never comes; what was trained before is not lost with it."""
    rows = read_manifest(place / "data" / "colours").split("train")
    last = epoch_order(np.array([row.label for row in rows]), seed=7, epoch=0)[-1]
    stall = Breakage("stall", 0, rows[last].path)
    os.utime(place / "data/colours/manifest.jsonl", (time.time() + 60,) * 2)  # no image is read again before the run
    args = ("train", "-o", "run", *TRAIN, "--set", "model.head_start=text", "--set", f"data.num_workers={workers}")
    args = (*args, "--set", "data.resize=crop")  # the plan looks at no image's shape before the run
    process = start_in(place, *args, "--set", "data.batch_size=2", breakage=stall)
    wait_for(place / "run" / "resume")
    time.sleep(2)  # fifteen updates take less
    os.kill(process.pid, signal.SIGTERM)
    process.join(20)
    clean_error(ended(process, place), 75, "interrupted after step")
    count("a file that never comes", 1, 1, f"{workers} workers")


def test_a_run_goes_on_when_nobody_reads_what_it_says(place, whole_run):
    (place / "stderr.txt").unlink(missing_ok=True)
    os.mkfifo(place / "stderr.txt")
    process = start_in(place, "train", "-o", "run", *TRAIN)
    with (place / "stderr.txt").open() as reader:
        assert reader.readline()
    process.join(60)
    assert process.exitcode == 0
    assert_same(place / "run", whole_run()[0])


def test_what_the_caller_ignores_stays_ignored():
    """`nohup clipft train &`: a closed terminal is no reason to stop."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_raise(), StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.is_set
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_that_came_before_a_block_is_not_forgotten():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped), stop.at_once():
            raise AssertionError("the block must not begin")


OTHERS = {
    "prepare": (("--num-classes", "10", "--samples-per-class", "200"), "data/.dogs.preparing-*"),
    "evaluate": (("--checkpoint", "run", "--split", "train"), "run/.evaluation.*.tmp"),
    "predict": (("--checkpoint", "run", "-o", "out.csv", "data"), ".out.csv.*.tmp"),
    "compare": (("run", "other"), "outputs/compare/.evaluation.*.tmp"),
}


IN_SHORT = {("prepare", signal.SIGINT), ("evaluate", signal.SIGHUP), ("predict", signal.SIGINT)}
BY_COMMAND = [(command, number) for command in OTHERS for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.fixture(scope="module")
def compared(built_place, tmp_path_factory):
    """A folder with two finished runs."""
    root = Path(shutil.copytree(built_place, tmp_path_factory.mktemp("two") / "place"))
    for run, seed in (("run", "1"), ("other", "2")):
        one = ("--set", "training.num_epochs=1", "--seed", seed)
        assert clipft_in(root, "train", "-o", run, *TRAIN, *one).code == 0
    return root


@pytest.mark.parametrize(
    ("command", "number"),
    [pytest.param(*one, marks=() if one in IN_SHORT else pytest.mark.slow) for one in BY_COMMAND],
)
def test_other_commands_leave_nothing_half_written(compared, tmp_path, count, command, number):
    place = Path(shutil.copytree(compared, tmp_path / "place"))
    args, half_written = OTHERS[command]
    before = {path for path in place.rglob("*") if path.suffix != ".txt"}
    process = start_in(place, command, *args)
    until = time.monotonic() + 60
    while not list(place.glob(half_written)) and process.is_alive():
        assert time.monotonic() < until
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):  # it may be over by itself
        os.kill(process.pid, number)
    process.join(30)
    done = ended(process, place)
    if done.code == 0:
        pytest.skip("it was over before the signal came")
    assert done.code == 128 + number, done.err
    assert done.err.splitlines()[-1].endswith(": what was not finished is not kept")
    assert "Traceback" not in done.err
    assert {path for path in place.rglob("*") if path.suffix != ".txt"} - before <= {place / "data"}
    count("a signal in prepare, evaluate, predict, compare", 1, 1, command)
