"""What decides a run is listed once: a resume finds all of it unchanged, and loses nothing that was there."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_world import read_metrics, write_colours

from clipft_cli.config.load import dump_yaml, load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.events import Note, StepDone
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.loop.inputs import DECIDES_NOTHING, Inputs, settings_of
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.run_dir import RunDir, find_checkpoint
from clipft_cli.engine.runs.new_run import new_run_dir
from clipft_cli.engine.runs.unfinished import interrupted_run as find_interrupted
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import CheckpointError, InterruptedRun

COMMON = {"training.num_epochs": 3, "training.learning_rate": 2e-3, "checkpoint.every_steps": 1, "data.batch_size": 6}


def ignore(event: object) -> None:
    pass


class Stop:
    """A watcher that sends the process a signal after a step, as a person or a scheduler would."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.notes: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        if isinstance(event, StepDone) and event.step == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train(tiny.config("full", run, COMMON), ignore)
    return run


def interrupted_run(tiny, path: Path, step: int) -> Path:
    with pytest.raises(InterruptedRun):
        train(tiny.config("full", path, COMMON), Stop(step))
    return path


def states(run: Path) -> list[Path]:
    return sorted((run / "resume").glob("step-*"))


def assert_same_run(run: Path, undisturbed: Path) -> None:
    ours, theirs = (load_file(find_checkpoint(path) / "head.safetensors") for path in (run, undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert read_metrics(run) == read_metrics(undisturbed)


def leaves(tree: dict, prefix: str = "") -> set[str]:
    return {
        leaf
        for key, value in tree.items()
        for leaf in (leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key})
    }


def test_every_key_decides_or_is_named_as_one_that_does_not():
    keys = leaves(TrainConfig().model_dump(mode="json"))
    assert set(DECIDES_NOTHING) <= keys
    everything_on = {"soup.enabled": True, "progressive_unfreezing.enabled": True}
    config = load_config(TrainConfig, flags={f"training.{key}": value for key, value in everything_on.items()})
    lora = config.model_copy(update={"method": "lora"})
    assert set(settings_of(lora)) == keys - set(DECIDES_NOTHING)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("key", "value", "methods"),
    [
        ("training.learning_rate", 1e-9, {"full", "lora", "qlora"}),
        ("training.label_smoothing", 0.0, {"full", "lora", "qlora"}),
        ("training.select_by", "loss", {"full", "lora", "qlora", "linear_probe"}),
        ("training.wise_ft.alphas", [0.5], {"full", "lora", "qlora"}),
        ("data.class_balance", "loss", {"full", "lora", "qlora", "linear_probe"}),
        ("data.augmentation", "none", {"full", "lora", "qlora"}),
        ("data.few_shot", 2, {"full", "lora", "qlora", "linear_probe"}),
        ("linear_probe.c_values", [1.0], {"full", "lora", "qlora", "linear_probe"}),
        ("model.head_start", "text", {"full", "lora", "qlora", "linear_probe"}),
        ("lora.r", 3, {"lora", "qlora"}),
        ("cache.views", 2, {"full", "lora", "qlora"}),
        ("hardware.mixed_precision", "fp16", set(METHODS)),
        ("data.num_workers", 3, set()),
        ("cache.max_gb", 1.0, set()),
        ("training.early_stopping.patience", 9, {"full", "lora", "qlora"}),
        ("checkpoint.keep_best", 9, {"full", "lora", "qlora"}),  # soups are on
        ("checkpoint.keep_last", 9, set()),
    ],
)
def test_what_decides_the_result_of_a_method_makes_another_digest(method, key, value, methods):
    plain, other = (load_config(TrainConfig, flags={"method": method, **flags}) for flags in ({}, {key: value}))
    first, second = (Inputs(settings_of(config), (), (), "", "") for config in (plain, other))
    assert (first.digests != second.digests) == (method in methods)
    assert bool(first.differing(second)) == (method in methods)


def test_a_key_that_a_version_does_not_know_is_at_its_default():
    settings = settings_of(TrainConfig())
    older = {key: value for key, value in settings.items() if key != "data.horizontal_flip"}
    now, then = (Inputs(part, (), (), "", "") for part in (settings, older))
    assert now.differing(then) == []
    assert now.digests == then.digests


@pytest.fixture
def begun(tiny, tmp_path):
    """An interrupted run on data of its own."""
    data = write_colours(tmp_path / "data")
    with pytest.raises(InterruptedRun):
        train(tiny.config("full", tmp_path / "run", {**COMMON, "data.dir": data.root}), Stop(9))
    return tmp_path / "run"


def test_other_readable_names_are_refused_and_named(begun):
    """The prompts are made of them."""
    names = begun.parent / "data" / "classes.txt"
    text = names.read_text()
    names.write_text(text.replace("blue patch", "a cat"))
    told = "names of classes are not what the run started with: class 'blue' called 'a cat' \\(not 'blue patch'\\)"
    with pytest.raises(CheckpointError, match=told) as caught:
        resume(begun, ignore)
    assert "classes.txt" in caught.value.hint
    names.write_text(text)
    assert resume(begun, ignore).epochs == 3


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("label_smoothing: 0.1", "label_smoothing: 0.2", "training.label_smoothing 0.2 (not 0.1)"),
        ("templates: auto", "templates: short", "other prompt templates"),
    ],
)
def test_other_settings_are_refused_by_name(begun, before, after, told):
    config = begun / "config.yaml"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after))
    with pytest.raises(CheckpointError, match=re.escape(told)):
        resume(begun, ignore)
    (begun / "inputs.json").unlink()  # the state and the start know it too
    with pytest.raises(CheckpointError, match=r"(settings|prompt templates) are not what the run started with"):
        resume(begun, ignore)


def test_workers_caches_and_places_may_change(tiny, tmp_path, undisturbed):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    config = run / "config.yaml"
    text = config.read_text().replace("num_workers: 0", "num_workers: 2").replace("max_gb: 8.0", "max_gb: 7.0")
    config.write_text(text.replace("image_cache_gb: 8.0", "image_cache_gb: 0"))
    resume(run, ignore)
    assert_same_run(run, undisturbed)


def test_a_run_of_an_earlier_version_goes_on(tiny, tmp_path, undisturbed):
    """Without inputs.json; its state has a digest of the whole config, and no lines of metrics.jsonl."""
    run = interrupted_run(tiny, tmp_path / "run", 9)
    (run / "inputs.json").unlink()
    for file in (*(state / "state.json" for state in states(run)), run / "start" / "start.json"):
        content = json.loads(file.read_text())
        then = content["state"]["belongs_to"] if "state" in content else content
        for what in ("settings", "names of classes", "prompt templates"):
            del then[what]
        then["config"] = "0" * 64
        content.get("state", {}).pop("history", None)
        file.write_text(signed_json(content))
    resume(run, ignore)
    assert_same_run(run, undisturbed)


@pytest.mark.parametrize(("n_kept", "lost"), [(None, "3 lines are"), (2, "1 line is"), (0, "3 lines are")])
def test_metrics_lost_in_an_interruption_are_restored_aloud(tiny, tmp_path, undisturbed, n_kept, lost):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    if n_kept is None:
        (run / "metrics.jsonl").unlink()
    else:
        (run / "metrics.jsonl").write_text("".join(lines[:n_kept]))
    watcher = Stop(-1)
    resume(run, watcher)
    assert any(f"metrics.jsonl: {lost} missing or damaged, restored" in note for note in watcher.notes)
    assert_same_run(run, undisturbed)


def test_epochs_are_not_trained_over_where_the_saved_state_is_gone(tiny, tmp_path):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    shutil.rmtree(run / "resume")
    before = (run / "metrics.jsonl").read_text()
    with pytest.raises(CheckpointError, match="the saved state is missing, though checkpoint-epoch-1 is there"):
        resume(run, ignore)
    assert (run / "metrics.jsonl").read_text() == before


def test_a_run_that_another_process_ended_meanwhile_is_not_trained_again(tiny, tmp_path, undisturbed, monkeypatch):
    """Between the look at the run and its lock."""
    run = interrupted_run(tiny, tmp_path / "run", 9)

    def slow(path: Path) -> RunDir:
        found = find_interrupted(path)
        shutil.copy(undisturbed / "summary.json", run)
        return found

    monkeypatch.setattr("clipft_cli.engine.train.interrupted_run", slow)
    before = (run / "metrics.jsonl").read_text()
    with pytest.raises(CheckpointError, match="this run is finished, there is nothing to resume"):
        resume(run, ignore)
    assert (run / "metrics.jsonl").read_text() == before


def test_a_run_begins_with_all_that_a_resume_is_held_against(tiny, tmp_path, monkeypatch):
    """Killed right after its folder has appeared, and its names edited: they are found."""
    data = write_colours(tmp_path / "data").root

    class Killed(BaseException):
        pass

    def killed(*rest: object) -> None:
        raise Killed

    monkeypatch.setattr("clipft_cli.engine.train._with_own_base", killed)
    with pytest.raises(Killed):
        train(tiny.config("full", tmp_path / "run", {**COMMON, "data.dir": data}), ignore)
    monkeypatch.undo()
    names = data / "classes.txt"
    names.write_text(names.read_text().replace("red patch", "scarlet square"))
    with pytest.raises(CheckpointError, match="class 'red' called 'scarlet square'"):
        resume(tmp_path / "run", ignore)
    names.write_text(names.read_text().replace("scarlet square", "red patch"))
    assert resume(tmp_path / "run", ignore).epochs == 3


def test_what_cannot_be_checked_of_an_earlier_versions_run_is_said(tiny, tmp_path):
    config = tiny.config("full", tmp_path / "run", COMMON)
    run, _ = new_run_dir(tmp_path / "run", "x", dump_yaml(config))
    watcher = Stop(-1)
    resume(run.path, watcher)
    told = [note for note in watcher.notes if "could not be checked" in note]
    assert len(told) == 1
    assert "data set" in told[0]


def test_a_damaged_list_of_inputs_is_refused_unless_the_state_knows_as_much(tiny, tmp_path):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    (run / "inputs.json").write_text((run / "inputs.json").read_text()[:-9])
    shutil.copytree(run, tmp_path / "bare")
    watcher = Stop(-1)
    resume(run, watcher)
    assert any("inputs.json: is damaged: what the saved state says of it is taken" in note for note in watcher.notes)
    shutil.rmtree(tmp_path / "bare" / "resume")
    shutil.rmtree(tmp_path / "bare" / "start")
    with pytest.raises(CheckpointError, match=r"inputs\.json: is damaged") as caught:
        resume(tmp_path / "bare", ignore)
    assert "data set" in caught.value.hint


def test_what_is_killed_before_anything_is_written_can_be_resumed_or_begun_again(tiny, tmp_path):
    config = tiny.config("zero_shot", tmp_path / "run")
    run, _ = new_run_dir(tmp_path / "run", "x", dump_yaml(config))
    assert [file.name for file in run.path.iterdir()] == ["config.yaml"]
    assert resume(run.path, ignore).method == "zero_shot"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".lock").touch()
    result = train(tiny.config("zero_shot", tmp_path / "other"), ignore)
    assert result.run_dir == tmp_path / "other"
