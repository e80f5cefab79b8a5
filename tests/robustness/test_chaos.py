"""Exact resume: killed at any moment, the run ends bit-equal to the one nobody disturbed."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest
from broken_runs import (
    Breakage,
    assert_same,
    chosen,
    clean_error,
    clipft_in,
    ended,
    outcome,
    resumed_to_the_end,
    start_in,
)

from clipft_cli.engine.events import StepDone
from clipft_cli.engine.train import train

TRAIN = ("-c", "run.yaml")
UNFREEZING = (
    "training.progressive_unfreezing.enabled=true",
    "training.progressive_unfreezing.unfreeze_schedule=[{epoch: 0, layers: [classifier]}, {epoch: 1, layers: [all]}]",
)
VARIANTS = {
    "full": (),
    "bf16": ("hardware.mixed_precision=bf16",),
    "lora with dropout": ("method=lora", "lora.lora_dropout=0.3"),
    "unfreezing": UNFREEZING,
    "accumulation, threads": ("training.gradient_accumulation_steps=2", "data.num_workers=2"),
    "early stopping": (
        "training.learning_rate=1e-9",
        "training.early_stopping.patience=1",
        "training.ema.enabled=false",
    ),
    "sampler, strong augmentation": ("data.class_balance=sampler", "data.augmentation=strong"),
    "kept stages, fixed views": (*UNFREEZING, "cache.enabled=true", "cache.views=2"),
    "contrastive": ("training.objective=contrastive",),
    "contrastive lora": ("training.objective=contrastive", "method=lora"),
    "qlora": ("method=qlora",),
    "linear probe": ("method=linear_probe",),
    "zero-shot": ("method=zero_shot",),
}


def settings(variant: str) -> tuple[str, ...]:
    return tuple(part for setting in VARIANTS[variant] for part in ("--set", setting))


def killed_and_resumed(folder: Path, run: str, train: tuple[str, ...], dice: random.Random, seconds: float) -> int:
    """One run, killed at a random moment up to three times and resumed each time; how often it was killed."""
    process, n_kills = start_in(folder, "train", "-o", run, *train), 0
    for _ in range(dice.randint(1, 3)):
        process.join(dice.uniform(0.05, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            n_kills += 1
        elif process.exitcode == 0:
            break
        else:
            raise AssertionError(ended(process, folder).err)
        if (folder / run / "summary.json").is_file():
            break
        if not (folder / run / "config.yaml").is_file():
            shutil.rmtree(folder / run, ignore_errors=True)
            process = start_in(folder, "train", "-o", run, *train)
        else:
            process = start_in(folder, "train", "--resume", run)
    process.join()
    if not (folder / run / "summary.json").is_file():
        assert process.exitcode in (0, -9), ended(process, folder).err
    if not (folder / run / "summary.json").is_file():
        last = resumed_to_the_end(folder, run, train)
        assert last.code == 0, last.err
    elif (folder / run / "resume").exists():  # killed after the summary
        assert clipft_in(folder, "train", "--resume", run).code == 5
    return n_kills


def chaos(
    folder: Path, whole: dict, train: tuple[str, ...], seconds: float, n_kills: int, seed: int
) -> tuple[int, int]:
    """(kills, runs) until there were `n_kills`; every run must end as `whole` did."""
    kills = runs = 0
    while kills < n_kills:
        print(f"chaos seed {seed + runs}")
        hits = killed_and_resumed(folder, f"run-{runs}", train, random.Random(seed + runs), seconds)
        kills += hits
        if not hits:  # the machine is faster now than when the whole run was timed
            seconds /= 2
        assert_same(folder / f"run-{runs}", whole, f"seed {seed + runs}")
        shutil.rmtree(folder / f"run-{runs}")
        runs += 1
        assert runs < 4 * n_kills + 8, "the kills come too late"
    return kills, runs


@pytest.fixture(scope="session")
def drawn_place(tmp_path_factory):
    """The embedded model and a few drawn dogs; the whole run's outcome and how long it takes."""
    folder = tmp_path_factory.mktemp("drawn")
    done = clipft_in(folder, "prepare", "--num-classes", "3", "--samples-per-class", "12")
    assert done.code == 0, done.err
    train = ("--set", "model.name=clipft-tiny", "--set", "data.batch_size=8", "--set", "training.num_epochs=2")
    train += ("--set", "checkpoint.every_steps=1", "--set", "hardware.mixed_precision=no")
    done = clipft_in(folder, "train", "-o", "whole", *train)
    assert done.code == 0, done.err
    return folder, train, outcome(folder / "whole"), done.seconds


def test_the_embedded_run_killed_at_random_moments_ends_bit_equal(drawn_place, count):
    folder, train, whole, seconds = drawn_place
    kills, runs = chaos(folder, whole, train, seconds, n_kills=3, seed=100)
    count("SIGKILL at a random moment, embedded run", kills, kills, f"{runs} runs")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_embedded_run_killed_fifty_times_ends_bit_equal(drawn_place, count):
    folder, train, whole, seconds = drawn_place
    kills, runs = chaos(folder, whole, train, seconds, n_kills=50, seed=int(time.time()))
    count("SIGKILL at a random moment, embedded run", kills, kills, f"{runs} runs")


@pytest.mark.parametrize("variant", ["lora with dropout"])
def test_a_run_killed_at_a_random_moment_ends_bit_equal(place, whole_run, count, variant):
    _check_variant(place, whole_run, count, variant, n_kills=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_of_any_kind_killed_often_ends_bit_equal(place, whole_run, count, variant):
    _check_variant(place, whole_run, count, variant, n_kills=10)


def _check_variant(place, whole_run, count, variant, n_kills):
    train = (*TRAIN, *settings(variant))
    whole, done = whole_run(*settings(variant))
    kills, _ = chaos(place, whole, train, done.seconds, n_kills, seed=200)
    count("SIGKILL at a random moment, runs of every kind", kills, kills, variant)


def killed_before_operation(place: Path, n: int, run: str) -> None:
    breakage = Breakage("kill", n, str(place / run))
    assert clipft_in(place, "train", "-o", run, *TRAIN, breakage=breakage).code == -9
    if (place / run / "config.yaml").is_file():  # a run has begun, with all that a resume is held against
        assert all((place / run / name).is_file() for name in ("inputs.json", "places.json", "trained_on.txt")), n
    if (place / run / "summary.json").is_file():
        assert clipft_in(place, "train", "--resume", run).code == 5
    else:
        done = resumed_to_the_end(place, run, TRAIN)
        assert done.code == 0, done.err


def test_a_kill_before_a_file_operation_loses_nothing(place, whole_run, n_operations, count):
    few = sorted(random.Random(1).sample(range(1, n_operations + 1), 2))
    _kill_before_each(place, whole_run, count, [*few, n_operations])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_before_every_file_operation_loses_nothing(place, whole_run, n_operations, count):
    every = chosen(n_operations, seed=n_operations)
    _kill_before_each(place, whole_run, count, every, f"of {n_operations} operations")


def _kill_before_each(place, whole_run, count, operations, note=""):
    for n in operations:
        run = f"run-{n}"
        killed_before_operation(place, n, run)
        assert_same(place / run, whole_run()[0], f"killed before operation {n}")
        shutil.rmtree(place / run)
    count("SIGKILL right before a file operation", len(operations), len(operations), note)


def test_a_second_process_on_a_run_is_refused(place):
    first = start_in(place, "train", "-o", "run", *TRAIN, "--set", "training.num_epochs=500")
    wait_for(place / "run" / "resume")
    (place / "elsewhere").mkdir()
    second = clipft_in(place, "train", "--resume", "run")
    first.kill()
    first.join()
    assert second.code == 7
    assert "another process is training here" in second.err
    assert "Traceback" not in second.err


def test_a_finished_run_is_not_resumed(place):
    assert clipft_in(place, "train", "-o", "run", *TRAIN).code == 0
    (place / "run" / "resume").mkdir()
    again = clipft_in(place, "train", "--resume", "run")
    assert again.code == 5
    assert "this run is finished" in again.err
    assert not (place / "run" / "resume").exists()


@pytest.mark.parametrize("what", ["config", "config, and the start is lost", "data set"])
def test_what_is_another_now_is_not_resumed(place, what):
    process = start_in(place, "train", "-o", "run", *TRAIN, "--set", "training.num_epochs=500")
    wait_for(place / "run" / "checkpoint-epoch-1")
    process.kill()
    process.join()
    if what == "data set":
        (place / "data/colours/train/red/red-00.jpg").unlink()
        assert clipft_in(place, "prepare", "data/colours").code == 0
    else:
        config = place / "run" / "config.yaml"
        config.write_text(config.read_text().replace("seed: 7", "seed: 6"))
    if what.endswith("lost"):
        shutil.rmtree(place / "run" / "start")
    again = clipft_in(place, "train", "--resume", "run")
    named = "data set is" if what == "data set" else "settings are"
    clean_error(again, 5, f"run: cannot be resumed: {named} not what the run started with", "hint: ")


def test_the_state_is_saved_by_time(tiny, tmp_path):
    """Every two hundredths of a second, and never by steps: states of one epoch lie on the disk while it goes on."""
    seen: set[str] = set()

    def look(event):
        if isinstance(event, StepDone):
            time.sleep(0.01)
            seen.update(path.name for path in (tmp_path / "run" / "resume").glob("step-*"))

    train(tiny.config("full", tmp_path / "run", {"checkpoint.every": "0.02s", "training.num_epochs": 1}), look)
    assert len(seen) > 2
    assert "step-000000005" not in seen
    seen.clear()
    train(tiny.config("full", tmp_path / "other", {"checkpoint.every": "1h", "training.num_epochs": 1}), look)
    assert seen == set()


def wait_for(path: Path, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)
