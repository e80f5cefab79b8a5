"""A run that a neighbour slows says so, once, with the way out; one that is slow by itself does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from clipft_cli.engine.events import StepDone
from clipft_cli.engine.loop import slowed
from clipft_cli.engine.loop.slowed import SpeedWatch, beside_others, kept_threads
from clipft_cli.engine.machine.processors import allowed_processors, usable_processors
from clipft_cli.engine.machine.thread_waits import WAITS
from clipft_cli.engine.run_dir import TOWER_FILE, RunDir
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import InterruptedRun


def told_by(*windows: tuple[float, float | None]) -> list[str | None]:
    """What a watch says in windows of (images/s, processors that others take)."""
    watch = SpeedWatch(Path("outputs/my run"))
    return [watch.after(int(10 * speed), 10.0, others) for speed, others in windows]


def test_a_neighbour_in_mid_run_is_told_of_once_with_the_way_out():
    told = told_by((200, 0.0), (190, 0.1), (20, 1.0), (20, 1.0))
    assert told[:2] == [None, None]
    assert told[3] is None
    assert told[2].startswith(
        f"20 images/s, after 200: other programs take 1.0 of the {len(allowed_processors())} proc"
    )
    assert "`clipft train --resume 'outputs/my run'`" in told[2]


@pytest.mark.parametrize("later", [(20, 0.0), (20, None), (150, 1.0)])
def test_what_no_neighbour_does_is_not_laid_at_his_door(later):
    assert told_by((200, 0.0), later) == [None, None]


def test_a_stage_that_trains_more_is_no_slow_one():
    watch = SpeedWatch(Path("run"))
    assert watch.after(2000, 10.0, 0.0) is None
    watch.new_stage()
    assert watch.after(200, 10.0, 1.0) is None
    assert watch.after(50, 10.0, 1.0) is not None


def test_the_plan_says_that_a_machine_is_shared(monkeypatch):
    monkeypatch.setattr(WAITS, "others", 0.1)
    assert beside_others() is None
    monkeypatch.setattr(WAITS, "others", 1.04)
    monkeypatch.setattr(slowed, "is_own_choice", lambda: False)
    own = beside_others()
    assert own == f"other programs take 1.0 of the {len(allowed_processors())} processors; times are less certain"
    monkeypatch.setattr(slowed, "is_own_choice", lambda: True)
    assert "OMP_WAIT_POLICY" in beside_others()


def test_threads_that_this_machine_does_not_have_are_kept_and_said():
    assert kept_threads(None) is None
    assert kept_threads(usable_processors()) is None
    assert f"keeps the {usable_processors() + 2} threads" in kept_threads(usable_processors() + 2)


@pytest.fixture
def threads():
    """Sets torch's number of threads; it is put back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_run_goes_on_with_the_threads_that_it_began_with(tiny, tmp_path, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # as a person's own, so that one processor is no reason for one thread

    def stop(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    begun = {"training.num_epochs": 1, "data.batch_size": 6}
    threads(2)
    undisturbed = train(tiny.config("full", tmp_path / "undisturbed", begun), lambda event: None)
    with pytest.raises(InterruptedRun):
        train(tiny.config("full", tmp_path / "run", begun), stop)
    assert yaml.safe_load(RunDir(tmp_path / "run").config.read_text())["hardware"]["num_threads"] == 2
    threads(1)
    resumed = resume(tmp_path / "run", lambda event: None)
    assert torch.get_num_threads() == 2
    ours, theirs = (load_file(result.checkpoint / TOWER_FILE) for result in (resumed, undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
