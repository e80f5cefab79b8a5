"""A tracker that fails, hangs or is not there never touches the run: real processes, with packages that misbehave."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from tiny_world import TinyWorld

from clipft_cli.engine.events import EpochDone, Note, StepDone
from clipft_cli.engine.run_dir import RunDir
from clipft_cli.engine.trackers import reporting
from clipft_cli.engine.trackers.reporting import Reporter, Reporting
from clipft_cli.engine.train import train
from clipft_cli.errors import MissingExtraError


def step(number: int) -> StepDone:
    return StepDone(number, 1, 8, 0.5, 1e-3, 1.0, 100.0, 0.0, 0.1)


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """A package of a tracker's name, which does on import what is written into it."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(folder))

    def write(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text, encoding="utf-8")

    return write


def told(tmp_path: Path, name: str, n_steps: int = 3) -> list[Note]:
    notes: list[Note] = []
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    with Reporting(["tensorboard", name], run, {"seed": 1}, notes.append) as trackers:
        for number in range(1, n_steps + 1):
            trackers(step(number), {"loss/train": 0.5})
    return notes


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "raise RuntimeError('no licence')",
            r"wandb failed and is told no more \(RuntimeError: no licence; .*wandb.log",
        ),
        ("import os; print('bye', flush=True); os._exit(3)", "wandb failed and is told no more \\(bye; "),
        ("import os; os.kill(os.getpid(), 9)", "wandb failed and is told no more \\(without a word; "),
    ],
    ids=["raises", "exits", "crashes"],
)
def test_a_tracker_that_fails_is_one_warning(tmp_path, misbehaving, body, words):
    misbehaving("wandb", body)
    (note,) = told(tmp_path, "wandb")
    assert note.is_warning
    assert re.search(words, note.text), note.text
    assert note.text.endswith("the run is not touched by it")


def test_a_tracker_that_hangs_is_ended_and_the_run_never_waits_for_it(tmp_path, misbehaving, monkeypatch):
    misbehaving("wandb", "import time; time.sleep(600)")
    monkeypatch.setattr(reporting, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(reporting, "MOST_WAITING", 500)
    notes: list[Note] = []
    began = time.monotonic()
    with Reporting(["wandb"], tmp_path, {}, notes.append) as trackers:
        (reporter,) = trackers._reporters
        for number in range(3000):
            trackers(step(number), {"loss/train": 0.5})
        seconds = time.monotonic() - began
    assert seconds < 2.0
    assert [note.text for note in notes] == [
        "wandb is slower than the run, and some of what it should be told is left out; the run is not touched by it"
    ]
    assert reporter._process is not None
    assert reporter._process.poll() is not None


def test_what_a_tracker_prints_is_no_output_of_the_run(tmp_path, misbehaving, capfd):
    misbehaving("wandb", "print('I am a banner', flush=True); raise SystemExit(1)")
    told(tmp_path, "wandb")
    assert capfd.readouterr() == ("", "")
    assert "I am a banner" in (tmp_path / "run" / "trackers" / "wandb.log").read_text(encoding="utf-8")


def test_a_folder_of_the_trackers_name_where_one_works_is_not_imported(tmp_path, misbehaving, monkeypatch):
    misbehaving("wandb", "raise RuntimeError('the real one')")
    work = tmp_path / "work"
    work.mkdir()
    (work / "wandb.py").write_text("raise RuntimeError('mine')", encoding="utf-8")
    monkeypatch.chdir(work)
    (note,) = told(tmp_path, "wandb")
    assert "the real one" in note.text


def test_a_run_is_the_same_whether_its_tracker_fails_or_not(tiny: TinyWorld, tmp_path, misbehaving):
    misbehaving("mlflow", "raise RuntimeError('no licence')")
    events: list[object] = []
    alone = train(tiny.config("full", tmp_path / "alone", {"training.report_to": []}), events.append)
    beside = train(tiny.config("full", tmp_path / "beside", {"training.report_to": ["mlflow"]}), events.append)
    assert RunDir(alone.run_dir).is_finished
    assert not list(alone.run_dir.glob("events.out.tfevents.*"))
    warnings = [event.text for event in events if isinstance(event, Note) and "mlflow" in event.text]
    assert len(warnings) == 1
    assert alone.best.top1 == beside.best.top1
    assert (alone.checkpoint / "head.safetensors").read_bytes() == (beside.checkpoint / "head.safetensors").read_bytes()
    assert any(isinstance(event, EpochDone) for event in events)


def test_a_tracker_that_is_not_installed_is_refused_before_the_run(tiny: TinyWorld, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"training\.report_to: trackio is not installed") as caught:
        train(tiny.config("full", tmp_path / "run", {"training.report_to": ["trackio"]}), lambda event: None)
    assert caught.value.hint == "pip install 'clipft-cli[trackio]'"
    assert not (tmp_path / "run").exists()


def test_a_process_that_cannot_be_started_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "trackers").write_text("a file where the folder should be", encoding="utf-8")
    reporter = Reporter("wandb", tmp_path, {})
    reporter.close(time.monotonic() + 1)
    assert reporter.trouble() == "wandb could not be started; the run is not touched by it"
