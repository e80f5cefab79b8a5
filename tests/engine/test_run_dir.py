"""A run directory: never overwritten, written whole, and found by the names people give."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clipft_cli.engine.run_dir import CHECKPOINT_FILE, RunDir, find_checkpoint, newest_run, write_pointer
from clipft_cli.engine.runs.new_run import new_run_dir
from clipft_cli.engine.runs.unfinished import newest_unfinished_run
from clipft_cli.errors import CheckpointError, ResourceError


def checkpoint(run: RunDir, epoch: int) -> Path:
    folder = run.checkpoint(epoch)
    folder.mkdir(parents=True)
    (folder / CHECKPOINT_FILE).write_text("{}")
    return folder


def finished(path: Path, seconds: int) -> RunDir:
    run = RunDir(path)
    write_pointer(run.best, checkpoint(run, 1))
    run.config.write_text("")
    run.summary.write_text("{}")
    os.utime(run.summary, (seconds, seconds))
    return run


def test_beside_an_interrupted_run_it_is_said_how_to_go_on(tmp_path):
    new_run_dir(tmp_path / "full", "x", "method: full\n")
    for path in (None, tmp_path / "full"):
        with pytest.raises(CheckpointError) as caught:
            find_checkpoint(path, tmp_path)
        assert f"clipft train --resume {tmp_path / 'full'}`" in caught.value.hint
        assert "train one first" not in caught.value.hint


def test_a_checkpoint_is_found_by_run_checkpoint_and_pointer(tmp_path):
    run = RunDir(tmp_path / "run")
    first, second = checkpoint(run, 1), checkpoint(run, 2)
    write_pointer(run.best, first)
    write_pointer(run.last, second)
    assert find_checkpoint(run.path) == find_checkpoint(run.best) == find_checkpoint(first) == first
    assert find_checkpoint(run.last) == second


def test_without_a_name_it_is_the_run_finished_last(tmp_path):
    finished(tmp_path / "b", 100)
    newest = finished(tmp_path / "a", 200)
    checkpoint(RunDir(tmp_path / "unfinished"), 1)
    assert newest_run(tmp_path).path == newest.path
    assert find_checkpoint(None, tmp_path) == newest.checkpoint(1)


@pytest.mark.parametrize("find", [newest_run, newest_unfinished_run])
def test_where_there_is_no_run_it_says_so(tmp_path, find):
    with pytest.raises(CheckpointError, match="here"):
        find(tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"checkpoint": 3}', '{"checkpoint": "../../etc"}', '{"checkpoint": "gone"}', "[" * 9999, "\0"],
)
def test_a_pointer_that_points_nowhere_is_refused(tmp_path, content):
    (tmp_path / "best").write_text(content)
    with pytest.raises(CheckpointError, match="best: "):
        find_checkpoint(tmp_path / "best")


def test_a_missing_or_empty_folder_is_refused_naming_what_there_is(tmp_path):
    finished(tmp_path / "outputs" / "full", 1)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gone", tmp_path / "empty"):
        with pytest.raises(CheckpointError) as caught:
            find_checkpoint(path, tmp_path / "outputs")
        assert caught.value.message.startswith(f"{path}: ")
        assert caught.value.hint == f"finished runs: {tmp_path / 'outputs' / 'full'}"


def test_checkpoints_come_in_the_order_of_epochs(tmp_path):
    run = RunDir(tmp_path)
    for epoch in (10, 9, 1):
        checkpoint(run, epoch)
    (tmp_path / "checkpoint-epoch-x").mkdir()
    assert [epoch for epoch, _ in run.checkpoints()] == [1, 9, 10]
    run.remove(run.checkpoint(9))
    assert [epoch for epoch, _ in run.checkpoints()] == [1, 10]
    assert not list(tmp_path.glob(".*"))


def test_a_pointer_is_a_small_json_file(tmp_path):
    write_pointer(tmp_path / "best", tmp_path / "checkpoint-epoch-3", epoch=3)
    assert json.loads((tmp_path / "best").read_text()) == {"checkpoint": "checkpoint-epoch-3", "epoch": 3}


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_plain_file_is_refused(tmp_path, kind):
    """A run from elsewhere may have a link there: a locking library that opens it empties what it leads to."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    run, _ = new_run_dir(tmp_path / "run", "x", "")
    {"link": lambda: run.lock.symlink_to(mine), "pipe": lambda: os.mkfifo(run.lock), "folder": run.lock.mkdir}[kind]()
    with pytest.raises(ResourceError, match="is no plain file"), run.locked():
        pass
    assert mine.read_text() == "mine"
