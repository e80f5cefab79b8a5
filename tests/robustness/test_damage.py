"""Damaged files: every bit that flips, every end that is cut is recognised, and what is whole is used."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from broken_runs import Breakage, assert_same, clean_error, clipft_in, flip_a_bit
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.checkpoint.card import is_whole
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.errors import CheckpointError

TRAIN = ("-c", "run.yaml")
FILES = ("checkpoint.json", "head.safetensors", "open_clip_model.safetensors", "open_clip_config.json")
DAMAGE = {
    "flipped": flip_a_bit,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}


KEPT = (
    "--set",
    "checkpoint.keep_last=3",
    "--set",
    "training.soup.enabled=false",
    "--set",
    "training.wise_ft.enabled=false",
)


@pytest.fixture(scope="session")
def finished(built_place):
    """A finished run with checkpoints of three epochs."""
    done = clipft_in(built_place, "train", *TRAIN, "-o", "kept", *KEPT)
    assert done.code == 0, done.err
    return built_place / "kept"


def killed(place: Path, at: int) -> Path:
    """`place` with a run in it that was killed before that file operation."""
    assert clipft_in(place, "train", "-o", "run", *TRAIN, breakage=Breakage("kill", at, str(place / "run"))).code == -9
    return place


@pytest.fixture(scope="session")
def built_interrupted(built_place, n_operations, tmp_path_factory):
    """A folder with a run that was killed late, two states saved: epoch 3 has begun, nothing is finished."""
    place = Path(shutil.copytree(built_place, tmp_path_factory.mktemp("interrupted") / "place"))
    return killed(place, int(0.75 * n_operations))


@pytest.fixture
def interrupted(built_interrupted, tmp_path):
    """A copy of it for one test."""
    return Path(shutil.copytree(built_interrupted, tmp_path / "place"))


def test_every_bit_of_the_description_counts(finished, tmp_path, count):
    """checkpoint.json has no digest elsewhere: it carries its own."""
    copy = Path(shutil.copytree(finished / "checkpoint-epoch-2", tmp_path / "checkpoint-epoch-2"))
    card = copy / "checkpoint.json"
    content = card.read_bytes()
    places = range(0, 8 * len(content), 37)
    recognised = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        card.write_bytes(bytes(damaged))
        recognised += not is_whole(copy)
    count("one bit flipped in checkpoint.json", len(places), recognised)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_checkpoint_is_refused_and_the_whole_ones_are_named(finished, tmp_path, count, file, damage):
    run = Path(shutil.copytree(finished, tmp_path / "kept"))
    DAMAGE[damage](run / "checkpoint-epoch-2" / file)
    with pytest.raises(CheckpointError) as caught:
        load_classifier(run / "checkpoint-epoch-2", torch.device("cpu"))
    assert caught.value.hint == f"whole checkpoints of this run: {run}/checkpoint-epoch-3, {run}/checkpoint-epoch-1"
    count("damaged file of a checkpoint", 1, 1, f"{file} {damage}")


@pytest.mark.parametrize("damage", ["flipped", "halved", "emptied", "deleted"])
def test_a_damaged_pointer_is_an_error_that_names_the_checkpoints(finished, tmp_path, damage):
    run = Path(shutil.copytree(finished, tmp_path / "kept"))
    DAMAGE[damage](run / "best")
    done = CliRunner().invoke(app, ["evaluate", "--checkpoint", str(run), "--json"])
    assert done.exit_code == 5
    assert json.loads(done.stdout)["error"]["kind"] == "checkpoint"


@pytest.mark.parametrize("name", ["../checkpoint-epoch-1", "/etc", "..", "", "a/b", 7, None])
def test_a_pointer_that_leads_elsewhere_is_refused(finished, tmp_path, name):
    run = Path(shutil.copytree(finished, tmp_path / "kept"))
    (run / "best").write_text(json.dumps({"checkpoint": name}))
    done = CliRunner().invoke(app, ["predict", "--checkpoint", str(run), str(run)])
    assert done.exit_code in (3, 5)
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
@pytest.mark.parametrize("file", ["state.json", "state.safetensors"])
def test_the_state_before_a_damaged_one_is_used_and_said(interrupted, whole_run, count, file, damage):
    newest = sorted((interrupted / "run" / "resume").glob("step-*"))[-1]
    DAMAGE[damage](newest / file)
    done = clipft_in(interrupted, "train", "--resume", "run")
    assert done.code == 0, done.err
    assert "is damaged" in done.err
    assert "the state before it is used" in done.err
    assert_same(interrupted / "run", whole_run()[0])
    count("damaged newest state", 1, 1, f"{file} {damage}")


@pytest.mark.parametrize("file", ["start.json", "head.safetensors"])
def test_a_damaged_start_is_measured_again(interrupted, whole_run, count, file):
    flip_a_bit(interrupted / "run" / "start" / file)
    done = clipft_in(interrupted, "train", "--resume", "run")
    assert done.code == 0, done.err
    assert "it is measured again" in done.err
    assert_same(interrupted / "run", whole_run()[0])
    count("damaged start of a run", 1, 1, file)


def test_with_all_states_damaged_the_resume_is_refused(interrupted):
    for state in (interrupted / "run" / "resume").glob("step-*"):
        flip_a_bit(state / "state.safetensors")
    clean_error(clipft_in(interrupted, "train", "--resume", "run"), 5, "no state to resume from", "hint: ")


def test_a_damaged_best_checkpoint_is_replaced_by_the_next_best_at_the_end(place, n_operations):
    killed(place, int(0.95 * n_operations))  # all epochs are done, the final model is not
    best = json.loads((place / "run" / "best").read_text())["checkpoint"]
    flip_a_bit(place / "run" / best / "open_clip_model.safetensors")
    done = clipft_in(place, "train", "--resume", "run")
    assert done.code == 0, done.err
    (other,) = re.findall(rf"{best}: is missing or damaged: the next best, (checkpoint-epoch-\d), is used", done.err)
    assert other != best
    assert json.loads((place / "run" / "best").read_text())["checkpoint"] in (other, "checkpoint-final")


def test_the_best_and_the_newest_checkpoints_stay(place):
    settings = (
        "checkpoint.keep_last=2",
        "checkpoint.keep_best=3",
        "training.num_epochs=6",
        "training.early_stopping.enabled=false",
    )
    done = clipft_in(place, "train", "-o", "run", *TRAIN, *(part for s in settings for part in ("--set", s)))
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()][2:]
    best = sorted(lines, key=lambda line: (-line["val_top1"], line["val_loss"]))[:3]
    expected = {line["epoch"] for line in best} | {5, 6}
    assert {int(p.name.rpartition("-")[2]) for p in (place / "run").glob("checkpoint-epoch-*")} == expected


def test_too_little_disk_space_is_said_before_the_first_update(place, monkeypatch):
    import shutil as disk
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk, "disk_usage", lambda path: usage(10, 10, 1000))
    monkeypatch.chdir(place)
    done = CliRunner().invoke(app, ["train", *TRAIN, "-o", "run"])
    assert done.exit_code == 7
    assert "GiB of disk space" in done.stderr
    assert not list((place / "run").glob("checkpoint-*"))
