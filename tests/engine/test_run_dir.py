"""A run directory: never overwritten, written whole, and found by the names people give."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clipft_cli.engine import run_dir
from clipft_cli.engine.run_dir import (
    CHECKPOINT_FILE,
    RunDir,
    find_checkpoint,
    new_run_dir,
    newest_run,
    newest_unfinished_run,
    write_pointer,
)
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


def test_a_run_is_named_after_its_method_and_numbered_when_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        run, is_numbered = new_run_dir(None, "full", "method: full\n")
        run.config.write_text("")
        made.append((str(run.path), is_numbered))
    assert made == [("outputs/full", False), ("outputs/full-2", True), ("outputs/full-3", True)]


def test_an_empty_folder_is_taken_a_filled_one_is_not(tmp_path):
    (tmp_path / "wish").mkdir()
    assert new_run_dir(tmp_path / "wish", "x", "seed: 1\n")[0].path == tmp_path / "wish"
    (tmp_path / "wish" / "notes.txt").write_text("mine")
    with pytest.raises(ResourceError, match="wish: is taken"):
        new_run_dir(tmp_path / "wish", "x", "seed: 1\n")
    assert (tmp_path / "wish" / "notes.txt").read_text() == "mine"


def test_an_interrupted_run_in_the_way_can_be_gone_on_with(tmp_path):
    run, _ = new_run_dir(tmp_path / "a run", "x", "seed: 1\n")
    with pytest.raises(ResourceError) as caught:
        new_run_dir(run.path, "x", "seed: 1\n")
    assert caught.value.hint.startswith(f"go on with it (`clipft train --resume '{run.path}'`), remove it")


def test_one_of_two_that_start_at_once_gets_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(run_dir, "refuse_taken", lambda path: None)  # both have looked
    new_run_dir(tmp_path / "wish", "x", "seed: 1\n")
    with pytest.raises(ResourceError, match="wish: is taken"):
        new_run_dir(tmp_path / "wish", "x", "seed: 2\n")
    assert (tmp_path / "wish" / "config.yaml").read_text() == "seed: 1\n"


class Killed(BaseException):
    """A process that ends in the middle."""


@pytest.mark.parametrize("place", ["new", "empty", "link"])
@pytest.mark.parametrize("n_written", range(4))
def test_killed_while_it_is_made_it_has_begun_with_all_its_files_or_not_at_all(tmp_path, monkeypatch, place, n_written):
    wish, real, written = tmp_path / "wish", run_dir.write_text, []
    if place == "empty":
        wish.mkdir()
    if place == "link":
        (tmp_path / "elsewhere").mkdir()
        wish.symlink_to(tmp_path / "elsewhere")

    def beside(run: RunDir) -> dict[Path, str]:
        return {run.inputs: "{}", run.path / "places.json": "{}", run.trained_on: ""}

    def write(path: Path, text: str) -> None:
        if len(written) == n_written:
            path.with_name(f".{path.name}.1-01234567.tmp").touch()  # half of it
            raise Killed
        written.append(path)
        real(path, text)

    monkeypatch.setattr(run_dir, "write_text", write)
    with pytest.raises(Killed):
        new_run_dir(wish, "x", "seed: 1\n", beside)
    assert not RunDir(wish).config.exists()
    monkeypatch.setattr(run_dir, "write_text", real)
    run, _ = new_run_dir(wish, "x", "seed: 2\n", beside)
    there = {file.name for file in run.path.iterdir() if not file.name.startswith(".")}
    assert there == {"config.yaml", "inputs.json", "places.json", "trained_on.txt"}
    assert run.config.read_text() == "seed: 2\n"


@pytest.mark.parametrize("wish", ["file", "file/inner"])
def test_a_file_in_the_way_is_named(tmp_path, wish):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file"):
        new_run_dir(tmp_path / wish, "x", "")


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


def test_the_run_interrupted_last_is_the_one_to_resume(tmp_path):
    finished(tmp_path / "done", 300)
    for name, seconds in (("old", 100), ("new", 200)):
        run = RunDir(tmp_path / name)
        run.path.mkdir()
        run.config.write_text("")
        os.utime(run.config, (seconds, seconds))
    assert newest_unfinished_run(tmp_path).path == tmp_path / "new"


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
