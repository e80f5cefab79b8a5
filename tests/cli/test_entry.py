"""A signal while the command is still being imported ends it in one line, never in a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clipft_cli.cli import entry
from clipft_cli.errors import EXIT_CODES, SIGNAL_CODES, InterruptedRun

STRIKES = """
import os, time
for _ in range({times}):
    os.kill(os.getpid(), {number})
time.sleep(20)
"""


def struck(folder: Path, number: int, *args: str, times: int = 1, is_ignored: bool = False):
    """`clipft ARGS`, to which the signal comes while it imports typer."""
    (folder / "typer.py").write_text(STRIKES.format(number=int(number), times=times))
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    handler = signal.SIG_IGN if is_ignored else usual
    return subprocess.run(
        [sys.executable, "-m", "clipft_cli", *args],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1.5 if is_ignored else 15,
        check=False,
        preexec_fn=lambda: signal.signal(number, handler),
    )


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_it_is_imported_a_signal_is_one_line_and_a_code(tmp_path, number, times):
    done = struck(tmp_path, number, "train", times=times)
    assert done.returncode == 128 + number
    assert done.stderr == f"{SIGNAL_CODES[done.returncode]}: what was not finished is not kept\n"
    assert done.stdout == ""


def test_before_a_run_goes_on_nothing_is_lost_and_it_says_so(tmp_path):
    done = struck(tmp_path, signal.SIGINT, "train", "--resume")
    assert (done.returncode, done.stderr) == (75, "interrupted before the run went on; it is as it was saved\n")


def test_with_json_it_is_an_object_too(tmp_path):
    done = struck(tmp_path, signal.SIGTERM, "predict", "x.jpg", "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["exit_code"], error["kind"]) == (143, "terminated")
    assert error["message"] == done.stderr.strip()


def test_what_the_caller_ignores_stays_ignored(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):  # it goes on importing
        struck(tmp_path, signal.SIGHUP, "train", is_ignored=True)


def test_its_words_are_those_of_the_errors():
    assert {128 + signal.Signals[name]: words for name, words in entry.NAMES.items()} == SIGNAL_CODES
    assert InterruptedRun.exit_code == entry.SAVED
    assert EXIT_CODES[entry.SAVED] == "interrupted, resumable"
