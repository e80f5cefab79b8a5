"""A run killed at any moment, resumed, ends as the run that never was: bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_world import read_metrics, start_clipft, write_colours

from clipft_cli.config.load import dump_yaml
from clipft_cli.engine.events import Note, StepDone
from clipft_cli.engine.images import pack_images
from clipft_cli.engine.run_dir import RunDir, find_checkpoint
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import CheckpointError, InterruptedRun

UNFREEZING = {
    "training.progressive_unfreezing.enabled": True,
    "training.progressive_unfreezing.unfreeze_schedule": [
        {"epoch": 0, "layers": ["classifier"]},
        {"epoch": 1, "layers": ["block.2"]},
        {"epoch": 2, "layers": ["all"]},
    ],
}
RUNS = {
    "full": ("full", {}),
    "bf16": ("full", {"hardware.mixed_precision": "bf16", "data.num_workers": 2}),
    "lora": ("lora", {"lora.lora_dropout": 0.2, "model.head_start": "text"}),
    "unfreezing": ("full", {**UNFREEZING, "training.ema.enabled": True, "data.augmentation": "strong"}),
    "cache": ("full", {**UNFREEZING, "data.augmentation": "none", "hardware.mixed_precision": "bf16"}),
    "views": ("full", {**UNFREEZING, "cache.views": 2, "cache.enabled": True}),
    "accumulation": ("full", {"training.gradient_accumulation_steps": 2, "data.class_balance": "sampler"}),
}
COMMON = {"training.num_epochs": 4, "training.learning_rate": 2e-3, "checkpoint.every_steps": 1, "data.batch_size": 6}


def ignore(event: object) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def warm_server(tmp_path_factory):
    """The imports are paid for once, and no run's time holds them."""
    assert finish(start_clipft(["--version"], tmp_path_factory.mktemp("warm"))) == 0


@pytest.fixture
def begin(tiny, tmp_path):
    """Starts `clipft train` with that configuration in a process of its own."""

    def begin(name: str, run: Path, **settings: object):
        method, chosen = RUNS[name]
        config = tiny.config(method, run, {**COMMON, **chosen, "hardware.num_threads": 1, **settings})
        (tmp_path / "clipft.yaml").write_text(dump_yaml(config), encoding="utf-8")
        return start_clipft(["train", "--config", "clipft.yaml"], tmp_path)

    return begin


def finish(process) -> int:
    process.join(timeout=240)
    return process.exitcode


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    """Of the last epoch and of the model kept, every tensor of every file."""
    folders = {find_checkpoint(run / "last"), find_checkpoint(run / "best")}
    return {
        f"{folder.name}/{file.name}/{name}": tensor
        for folder in folders
        for file in folder.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def assert_same_run(run: Path, undisturbed: Path) -> None:
    expected, weights = final_weights(undisturbed), final_weights(run)
    assert weights.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(weights[name], expected[name])] == []
    assert read_metrics(run) == read_metrics(undisturbed)


def kill_and_resume(begin, name: str, folder: Path, kills: int, seed: int) -> int:
    """Kill the run at random moments, resume it each time; returns how many kills found it running, 1 at least."""
    print(f"{name}: kills by seed {seed}")
    rng = random.Random(seed)
    began = time.monotonic()
    assert finish(begin(name, folder / "undisturbed")) == 0, (folder / "stderr.txt").read_text()
    seconds = time.monotonic() - began
    process, hits = begin(name, folder / "run"), 0
    while hits < kills:
        process.join(timeout=rng.uniform(0.05, seconds))
        if process.exitcode is None:
            process.kill()
            hits += 1
        finish(process)
        if (folder / "run" / "summary.json").exists():
            if hits:
                process = None
                break
            # too late: the machine is faster now than when the whole run was timed
            shutil.rmtree(folder / "run")
            seconds /= 2
            process = begin(name, folder / "run")
            continue
        is_begun = (folder / "run" / "config.yaml").exists()
        process = start_clipft(["train", "--resume", "run"], folder) if is_begun else begin(name, folder / "run")
    assert process is None or finish(process) == 0, (folder / "stderr.txt").read_text()
    assert_same_run(folder / "run", folder / "undisturbed")
    return hits


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_resumes_bit_for_bit(begin, tmp_path, name):
    assert kill_and_resume(begin, name, tmp_path, kills=2, seed=sum(map(ord, name))) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("seed", range(10))
def test_chaos(begin, tmp_path, name, seed):
    kill_and_resume(begin, name, tmp_path, kills=10, seed=seed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_with_the_code_for_resumable(begin, tmp_path, number):
    process = begin("full", tmp_path / "run", **{"training.num_epochs": 500, "checkpoint.every_steps": None})
    wait_for_epoch(tmp_path / "run", 2)
    os.kill(process.pid, number)
    assert finish(process) == 75
    said = (tmp_path / "stderr.txt").read_text()
    assert "interrupted after step " in said
    assert "error: " not in said
    assert "hint: go on with `clipft train --resume " in said
    assert "Traceback" not in said
    assert (tmp_path / "run" / "resume").is_dir()
    assert not (tmp_path / "run" / "summary.json").exists()


def wait_for_epoch(run: Path, epoch: int) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if (run / "metrics.jsonl").exists() and len(read_metrics(run)) > epoch + 1:
            return
        time.sleep(0.02)
    raise AssertionError(f"{run}: epoch {epoch} was not reached")


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
    with pytest.raises(InterruptedRun, match=f"interrupted after step {step}; everything up to it is saved"):
        train(tiny.config("full", path, COMMON), Stop(step))
    return path


@pytest.mark.parametrize("step", [1, 6, 24])
def test_interrupted_at_any_step_it_ends_the_same(tiny, tmp_path, undisturbed, step):
    run = interrupted_run(tiny, tmp_path / "run", step)
    resume(run, ignore)
    assert_same_run(run, undisturbed)


def test_interrupted_with_images_in_a_file_it_ends_as_without(tiny, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(pack_images, "WORTH_A_FILE", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = interrupted_run(tiny, tmp_path / "run", 8)
    watcher = Stop(0)
    resume(run, watcher)
    assert len(list((tmp_path / "cache" / "clipft" / "images").glob("*.pixels"))) == 2  # train and val
    assert "images decoded" not in "".join(watcher.notes)
    assert_same_run(run, undisturbed)


def test_interrupted_again_and_again_it_ends_the_same(tiny, tmp_path, undisturbed):
    run = interrupted_run(tiny, tmp_path / "run", 2)
    for step in (3, 13):
        with pytest.raises(InterruptedRun):
            resume(run, Stop(step))
    resume(run, ignore)
    assert_same_run(run, undisturbed)


def states(run: Path) -> list[Path]:
    return sorted((run / "resume").glob("step-*"))


@pytest.mark.parametrize("fault", ["flipped tensor", "flipped json", "cut", "missing", "empty"])
def test_a_damaged_state_is_passed_over_aloud(tiny, tmp_path, undisturbed, fault):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    before, newest = states(run)
    damage(newest, fault)
    watcher = Stop(-1)
    resume(run, watcher)
    assert any(str(newest) in note and "the state before it is used" in note for note in watcher.notes)
    assert any("after step 8" in note for note in watcher.notes)
    assert before.name == "step-000000008"
    assert_same_run(run, undisturbed)


def damage(state: Path, fault: str) -> None:
    tensors, header = state / "state.safetensors", state / "state.json"
    if fault.startswith("flipped"):
        path = tensors if fault.endswith("tensor") else header
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif fault == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-3])
    elif fault == "missing":
        header.unlink()
    else:
        tensors.write_bytes(b"")


def test_where_no_state_is_whole_it_says_so(tiny, tmp_path):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    for state in states(run):
        damage(state, "cut")
    with pytest.raises(CheckpointError, match="no state to resume from"):
        resume(run, ignore)


def test_another_data_set_is_refused(tiny, tmp_path):
    data = write_colours(tmp_path / "data")
    settings = {**COMMON, "data.dir": data.root}
    with pytest.raises(InterruptedRun):
        train(tiny.config("full", tmp_path / "run", settings), Stop(3))
    shutil.rmtree(data.root)
    write_colours(data.root, noise=50)
    with pytest.raises(CheckpointError, match="data set is not what the run started with: other images"):
        resume(tmp_path / "run", ignore)


@pytest.mark.parametrize("content", [b"x", None])
def test_a_damaged_start_is_measured_again_aloud(tiny, tmp_path, undisturbed, content):
    run = interrupted_run(tiny, tmp_path / "run", 3)
    head = run / "start" / "head.safetensors"
    if content is None:
        head.unlink()
    else:
        head.write_bytes(content)
    watcher = Stop(-1)
    resume(run, watcher)
    assert any("measured again" in note for note in watcher.notes)
    assert_same_run(run, undisturbed)


def test_a_finished_run_has_nothing_to_resume(undisturbed):
    with pytest.raises(CheckpointError, match="this run is finished, there is nothing to resume"):
        resume(undisturbed, ignore)


def test_a_run_that_ended_before_this_process_had_its_lock_is_left_alone(tiny, tmp_path, undisturbed, monkeypatch):
    """A second `--resume`, slow between its look and its lock."""
    run = shutil.copytree(undisturbed, tmp_path / "run")
    monkeypatch.setattr("clipft_cli.engine.train.interrupted_run", RunDir)
    with pytest.raises(CheckpointError, match="this run is finished, there is nothing to resume"):
        resume(run, ignore)
    assert_same_run(run, undisturbed)


@pytest.mark.parametrize("fault", ["deleted", "cut"])
def test_metrics_that_an_interruption_lost_are_restored_aloud(tiny, tmp_path, undisturbed, fault):
    run = interrupted_run(tiny, tmp_path / "run", 13)
    metrics = run / "metrics.jsonl"
    if fault == "deleted":
        metrics.unlink()
    else:
        metrics.write_bytes(metrics.read_bytes()[:-20])
    watcher = Stop(-1)
    resume(run, watcher)
    assert any("metrics.jsonl" in note and "restored from the saved state" in note for note in watcher.notes)
    assert read_metrics(run) == read_metrics(undisturbed)


def test_what_is_no_run_cannot_be_resumed(tmp_path):
    with pytest.raises(CheckpointError, match="is no run directory"):
        resume(tmp_path, ignore)


@pytest.mark.parametrize("method", ["linear_probe", "zero_shot"])
def test_a_method_without_a_loop_starts_again(tiny, tmp_path, method):
    """Killed between its start and its end, when all it had kept was the start."""
    whole = train(tiny.config(method, tmp_path / "whole"), ignore)
    shutil.copytree(whole.run_dir, tmp_path / "run")
    for name in ("summary.json", "best", "last"):
        (tmp_path / "run" / name).unlink()
    result = resume(tmp_path / "run", ignore)
    assert result.best == whole.best
    assert result.temperature == whole.temperature
    assert read_metrics(tmp_path / "run") == read_metrics(whole.run_dir)


def test_the_state_keeps_two_generations(tiny, tmp_path):
    run = interrupted_run(tiny, tmp_path / "run", 9)
    assert [path.name for path in states(run)] == ["step-000000008", "step-000000009"]
