"""What may not be read is said to be closed, with the command that opens it: it is neither damaged nor missing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="capabilities are those of Linux")

IMAGE = "data/colours/test/red/red 0.png"
TRAIN = (
    *("train", "-d", "data/colours", "-o", "run", "--set", "training.num_epochs=1", "--set", "data.num_workers=0"),
    *("--set", "model.name=colour-clip.json", "--set", "model.pretrained=colour-clip.safetensors"),
)


@pytest.fixture
def place(world):
    """The folder of the world; this process reads what its permissions allow, whoever it is."""
    with as_anyone() if os.geteuid() == 0 else contextlib.nullcontext():
        yield world.root


@contextlib.contextmanager
def as_anyone():
    """Root without the capabilities that let it read what is closed (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before, without = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    without[:] = before[:]
    without[0] &= ~0b110  # of the effective set: those that are permitted can be taken back
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


def clipft(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def close(path):
    os.chmod(path, 0)
    return path


COMMANDS = {
    "an image": (IMAGE, ("predict", IMAGE), 3),
    "a folder of images": ("data/colours/test/red", ("predict", IMAGE), 3),
    "a config": ("run.yaml", ("train", "-c", "run.yaml"), 7),
    "dataset.json": ("data/colours/dataset.json", TRAIN, 7),
    "manifest.jsonl": ("data/colours/manifest.jsonl", ("evaluate",), 7),
    "classes.txt": ("data/colours/classes.txt", TRAIN, 7),
    "the data folder": ("data/colours", TRAIN, 7),
    "an image of a run": ("data/colours/train/red/red 0.png", TRAIN, 7),
    "a description": ("outputs/full/checkpoint-epoch-2/checkpoint.json", ("predict", IMAGE), 7),
    "a head": ("outputs/full/checkpoint-epoch-2/head.safetensors", ("evaluate",), 7),
    "a tower": ("outputs/full/checkpoint-epoch-2/open_clip_model.safetensors", ("predict", IMAGE), 7),
    "a checkpoint": ("outputs/full/checkpoint-epoch-2", ("predict", IMAGE), 7),
    "a run": ("outputs/full", ("predict", IMAGE, "--checkpoint", "outputs/full"), 7),
    "all runs": ("outputs", ("evaluate",), 7),
    "weights": ("colour-clip.safetensors", TRAIN, 7),
    "a base": ("outputs/full/checkpoint-epoch-2", ("train", *TRAIN[1:-4], "--set", "model.name=outputs/full"), 7),
    "a run's config": ("outputs/full/config.yaml", ("train", "--resume", "outputs/full"), 7),
    "a model": ("colour-clip.json", TRAIN, 7),
    "a source": ("data/colours/train", ("prepare", "data/colours/train", "-o", "x"), 7),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_is_closed_is_called_that(place, kind):
    name, words, code = COMMANDS[kind]
    for absent in {"run.yaml", "outputs/full/metrics.jsonl"} - {str(p) for p in place.rglob("*")}:
        (place / absent).write_text("")
    if "--resume" in words:
        (place / "outputs/full/summary.json").unlink()  # the run is not finished
    close(place / name)
    done = clipft(*words)
    os.chmod(place / name, 0o755)
    assert done.exit_code == code, done.output
    assert "no permission to read" in done.stderr
    assert "chmod u+rX" in done.stderr
    for wrong in ("damaged", "missing", "not found", "no such", "prepare again", "Traceback"):
        assert wrong not in done.stderr


def test_prepare_says_what_it_may_not_read_and_never_takes_it_out_again(place):
    for label in ("a", "b", "c"):
        for i in range(8):
            file = place / "pets" / label / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((24, 24), 60 + i).convert("RGB").save(file)
    close(place / "pets/a/3.png")
    done = clipft("prepare", "pets", "-o", "data/pets")
    assert done.exit_code == 0, done.output
    assert "1 file or folder left out, no permission to read" in done.stderr
    assert "chmod u+rX" in (place / "data/pets/problems.csv").read_text()
    os.chmod(place / "pets/a/3.png", 0o644)
    assert clipft("prepare", "pets", "-o", "data/pets", "--force").exit_code == 0
    before = (place / "data/pets/manifest.jsonl").read_text()
    close(place / "pets/b")
    done = clipft("prepare", "pets", "-o", "data/pets", "--force")
    assert done.exit_code == 7, done.output
    assert "no permission to read" in done.stderr
    assert (place / "data/pets/manifest.jsonl").read_text() == before
    close(place / "pets/c")
    done = clipft("prepare", "pets", "-o", "other")
    assert done.exit_code == 7, done.output
    assert "no permission to read" in done.stderr.splitlines()[-2]
    for label in ("b", "c"):
        os.chmod(place / "pets" / label, 0o755)
