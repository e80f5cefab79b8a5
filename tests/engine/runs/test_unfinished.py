"""The run to go on with."""

from __future__ import annotations

import os

import pytest

from clipft_cli.engine.run_dir import RunDir
from clipft_cli.engine.runs.unfinished import interrupted_run, newest_unfinished_run
from clipft_cli.errors import CheckpointError


def begun(run: RunDir, seconds: int) -> RunDir:
    run.path.mkdir(parents=True)
    run.config.write_text("")
    os.utime(run.config, (seconds, seconds))
    return run


def test_the_run_interrupted_last_is_the_one_to_resume(tmp_path):
    begun(RunDir(tmp_path / "done"), 300).summary.write_text("{}")
    begun(RunDir(tmp_path / "old"), 100)
    begun(RunDir(tmp_path / "new"), 200)
    assert newest_unfinished_run(tmp_path).path == tmp_path / "new"
    assert interrupted_run(None, tmp_path).path == tmp_path / "new"


def test_a_finished_run_is_refused_and_its_state_to_resume_from_goes(tmp_path):
    run = begun(RunDir(tmp_path / "done"), 300)
    run.summary.write_text("{}")
    run.resume.mkdir()  # as a kill right after the summary leaves it
    with pytest.raises(CheckpointError, match="is finished"):
        interrupted_run(run.path)
    assert not run.resume.exists()


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match=r"no run directory"):
        interrupted_run(tmp_path)
