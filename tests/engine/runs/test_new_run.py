"""A new run's folder: never written over, and there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipft_cli.engine.run_dir import RunDir
from clipft_cli.engine.runs import new_run
from clipft_cli.engine.runs.new_run import new_run_dir
from clipft_cli.errors import ResourceError


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
    monkeypatch.setattr(new_run, "refuse_taken", lambda path: None)  # both have looked
    new_run_dir(tmp_path / "wish", "x", "seed: 1\n")
    with pytest.raises(ResourceError, match="wish: is taken"):
        new_run_dir(tmp_path / "wish", "x", "seed: 2\n")
    assert (tmp_path / "wish" / "config.yaml").read_text() == "seed: 1\n"


class Killed(BaseException):
    """A process that ends in the middle."""


@pytest.mark.parametrize("place", ["new", "empty", "link"])
@pytest.mark.parametrize("n_written", range(4))
def test_killed_while_it_is_made_it_has_begun_with_all_its_files_or_not_at_all(tmp_path, monkeypatch, place, n_written):
    wish, real, written = tmp_path / "wish", new_run.write_text, []
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

    monkeypatch.setattr(new_run, "write_text", write)
    with pytest.raises(Killed):
        new_run_dir(wish, "x", "seed: 1\n", beside)
    assert not RunDir(wish).config.exists()
    monkeypatch.setattr(new_run, "write_text", real)
    run, _ = new_run_dir(wish, "x", "seed: 2\n", beside)
    there = {file.name for file in run.path.iterdir() if not file.name.startswith(".")}
    assert there == {"config.yaml", "inputs.json", "places.json", "trained_on.txt"}
    assert run.config.read_text() == "seed: 2\n"


@pytest.mark.parametrize("wish", ["file", "file/inner"])
def test_a_file_in_the_way_is_named(tmp_path, wish):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file"):
        new_run_dir(tmp_path / wish, "x", "")
