"""A run goes on from any working folder, and after its project was moved; what is nowhere is said with where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_world import TinyWorld
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.checkpoint.run_config import run_config
from clipft_cli.engine.checkpoint.subject import choose_subject, data_dir_of
from clipft_cli.engine.run_dir import RunDir, find_checkpoint
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import ClipftError, DataError, InterruptedRun


class Stop:
    """Ends a run by a signal after its second update."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, event: object) -> None:
        import os
        import signal

        from clipft_cli.engine.events import Note, StepDone

        if isinstance(event, Note):
            self.notes.append(event.text)
        if isinstance(event, StepDone) and event.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def project(tiny, tmp_path, monkeypatch) -> Path:
    """A folder with data, model and an interrupted run in it, all of them named relative to it."""
    folder = tmp_path / "project"
    shutil.copytree(tiny.data, folder / "data/dogs")
    for file in (tiny.architecture, tiny.weights):
        shutil.copy(file, folder)
    monkeypatch.chdir(folder)
    world = TinyWorld(Path(), Path(tiny.architecture.name), Path(tiny.weights.name), Path("data/dogs"))
    with pytest.raises(InterruptedRun):
        train(world.config("full", Path("outputs/run"), {"checkpoint.every_steps": 1}), Stop())
    return folder


def finished(run: Path, **places: Path) -> list[str]:
    told: list[str] = []
    resume(run, lambda event: told.append(getattr(event, "text", "")), **places)
    assert RunDir(run).is_finished
    return told


def test_a_run_is_resumed_from_another_working_folder(project, monkeypatch):
    monkeypatch.chdir("/")
    told = finished(project / "outputs/run")
    assert f"data.dir data/dogs is {project}/data/dogs here" in told


def test_a_project_that_was_moved_goes_on(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moved = project.rename(tmp_path / "elsewhere")
    finished(moved / "outputs/run")


def test_a_run_that_was_moved_alone_finds_its_data(project, tmp_path, monkeypatch):
    moved = (project / "outputs/run").rename(tmp_path / "run")
    monkeypatch.chdir("/")
    finished(moved)


def test_a_run_of_a_version_without_places_is_resumed_from_elsewhere(project, monkeypatch):
    (project / "outputs/run/places.json").unlink()
    monkeypatch.chdir("/")
    finished(project / "outputs/run")


def test_data_that_was_moved_is_named_anew(project, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    run = str(project / "outputs/run")
    data = (project / "data/dogs").rename(tmp_path / "dogs")
    done = CliRunner().invoke(app, ["train", "--resume", run])
    assert done.exit_code == 3
    assert f"it was at {project}/data/dogs" in done.stderr
    assert f"clipft train --resume {run} --data-dir DIR" in done.stderr
    done = CliRunner().invoke(app, ["train", "--resume", run, "--data-dir", str(data), "-q"])
    assert done.exit_code == 0, done.stderr


def test_other_data_is_refused_though_it_was_named(project, tmp_path):
    from tiny_world import write_colours

    write_colours(tmp_path / "other", noise=10)
    with pytest.raises(ClipftError, match="data set"):
        resume(Path("outputs/run"), lambda event: None, data_dir=tmp_path / "other")


def test_base_weights_that_were_moved_are_named_anew(project, tmp_path, tiny):
    moved = (project / tiny.weights.name).rename(tmp_path / "w.safetensors")
    finished(Path("outputs/run"), base=moved)


def test_no_other_option_changes_a_run(project):
    for args in (["--seed", "1"], ["--set", "data.batch_size=2"], ["-o", "x"]):
        done = CliRunner().invoke(app, ["train", "--resume", "outputs/run", *args])
        assert done.exit_code == 2
        assert "no other option can change it" in done.stderr
    assert CliRunner().invoke(app, ["train", "--base", "x"]).exit_code == 2


def test_evaluate_finds_the_data_of_a_moved_project(project, tmp_path, monkeypatch):
    finished(Path("outputs/run"))
    monkeypatch.chdir("/")
    moved = project.rename(tmp_path / "elsewhere")
    from clipft_cli.config.evaluate import EvaluateConfig
    from clipft_cli.config.load import load_config

    config = load_config(EvaluateConfig, flags={"evaluate.checkpoint": moved / "outputs/run"})
    subject = choose_subject(config)
    assert data_dir_of(config, subject) == moved / "data/dogs"
    shutil.rmtree(moved / "data")
    with pytest.raises(DataError, match="is not there"):
        data_dir_of(config, subject)
    assert find_checkpoint(moved / "outputs/run").is_dir()


def test_places_that_are_damaged_are_done_without(project):
    run = RunDir(Path("outputs/run"))
    places = json.loads((run.path / "places.json").read_text())
    assert places["data.dir"] == {
        "given": "data/dogs",
        "absolute": f"{project}/data/dogs",
        "relative": "../../data/dogs",
    }
    for text in ("", "[]", "{}", '{"data.dir": 3}', '{"data.dir": {}}'):
        (run.path / "places.json").write_text(text)
        assert run_config(run)[0].data.dir == Path("data/dogs")
