"""What every stage of a run is given: a signal ends it in words that say how to go on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from clipft_cli.engine.events import unheard
from clipft_cli.engine.loop.context import RunContext
from clipft_cli.engine.machine.signals import StopRequest
from clipft_cli.engine.run_dir import RunDir
from clipft_cli.errors import InterruptedRun


def test_a_signal_in_a_block_in_which_nothing_is_trained_says_how_to_go_on(tmp_path):
    run = RunDir(tmp_path / "a run")

    def measure(context: RunContext) -> None:
        with context.stopping_at_once("while it was measured"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    with StopRequest() as stop, pytest.raises(InterruptedRun, match="interrupted while it was measured") as caught:
        measure(RunContext(run, unheard, stop, meter=None))
    assert caught.value.hint == f"go on with `clipft train --resume '{run.path}'`"


def test_between_two_pieces_of_work_a_signal_waits_for_the_first(tmp_path):
    done = []

    def decode(context: RunContext) -> None:
        with context.telling_of_stop("while images were decoded"):
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the first")
            context.stop.check()
            done.append("the second")

    with StopRequest() as stop, pytest.raises(InterruptedRun):
        decode(RunContext(RunDir(tmp_path), unheard, stop, meter=None))
    assert done == ["the first"]


def test_a_run_without_a_meter_is_a_resumed_one_of_unknown_energy(tmp_path):
    with StopRequest() as stop:
        context = RunContext(RunDir(tmp_path), unheard, stop, meter=None)
        assert context.is_resumed
        assert context.joules == {}
        assert 0 <= context.seconds < 5
