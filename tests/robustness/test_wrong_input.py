"""Whatever a person can get wrong: one clear line, the right exit code, no traceback."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from broken_runs import clipft_in
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app


@pytest.fixture(scope="module")
def built(built_place, tmp_path_factory):
    """A data set, a finished run, and one of everything that is wrong."""
    root = Path(shutil.copytree(built_place, tmp_path_factory.mktemp("wrong") / "place"))
    done = clipft_in(root, "train", "-c", "run.yaml", "-o", "run", "--set", "training.num_epochs=1")
    assert done.code == 0, done.err
    (root / "file").write_text("text")
    (root / "nothing").mkdir()
    for name, sizes in {
        "one-class": {"a": 5},
        "one-image": {"a": 1},
        "one-each": {"a": 1, "b": 1},
        "one-left": {"a": 9, "b": 1},
    }.items():
        draw(root / name, sizes)
    draw(root / "no-images" / "a", {})
    for split, classes in {"train": "ab", "val": "abc", "test": "ab"}.items():
        draw(root / "unknown-in-val" / split, dict.fromkeys(classes, 3))
    for split, classes in {"train": "abc", "val": "abc", "test": "ab"}.items():
        draw(root / "missing-in-test" / split, dict.fromkeys(classes, 3))
    (root / "bad.csv").write_text("a,b\n1,2\n")
    (root / "empty.csv").write_text("")
    (root / "gone.csv").write_text("image,label\nnowhere.jpg,cat\nnowhere2.jpg,dog\n")
    (root / "bad.zip").write_bytes(b"PK\x03\x04 no zip")
    (root / "bad.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    (root / "bad.tar.gz").write_bytes(b"\x1f\x8b no tar")
    (root / "loop").symlink_to("loop")
    (root / "half-run").mkdir()
    (root / "half-run" / "config.yaml").write_text("method: full\n")
    (root / "other-format").mkdir()
    (root / "other-format" / "checkpoint.json").write_text('{"format": 99}')
    (root / "unknown.yaml").write_text("training: {epochz: 3, learning_rate: -1}\n")
    (root / "latin.yaml").write_bytes("data: {dir: größe}".encode("latin-1"))
    return root


SEEDS = itertools.count()


def draw(root: Path, sizes: dict[str, int]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, n in sizes.items():
        for i in range(n):
            path = root / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((24, 24), 20 + next(SEEDS)).convert("RGB").save(path)


ANY = [
    (("-c", "missing.yaml"), 2, "missing.yaml: no such file"),
    (("-c", "nothing"), 2, "is a folder"),
    (("-c", "unknown.yaml"), 2, "did you mean"),
    (("-c", "latin.yaml"), 2, "not UTF-8"),
    (("-c", "loop"), 2, "loop: cannot be read"),
    (("--set", "seed"), 2, "must be key=value"),
    (("--set", "sed=1"), 2, "did you mean 'seed'"),
    (("--set", "seed=-1"), 2, "seed"),
    (("--set", "seed=[1"), 2, "cannot be read"),
    (("--set", "data.batch_size=0"), 2, "batch_size"),
    (("--set", "training.learning_rate=.nan"), 2, "learning_rate"),
    (("--set", "=1"), 2, "must be key=value"),
    (("--set", "data=1"), 2, "data"),
    (("--set", "method=fulll"), 2, "method"),
]
TRAIN = ("-c", "run.yaml", "-o", "out")
CASES = {
    "prepare": [
        *ANY,
        (("missing",), 3, "missing"),
        (("file",), 3, "file"),
        (("nothing",), 3, "nothing"),
        (("no-images",), 3, "no-images"),
        (("one-class",), 3, "only one class"),
        (("one-image",), 3, "one-image"),
        (("one-each",), 3, ""),
        (("bad.csv",), 3, "column"),
        (("empty.csv",), 3, "empty.csv"),
        (("gone.csv",), 3, ""),
        (("bad.zip",), 3, "bad.zip"),
        (("bad.parquet",), 3, "bad.parquet: is no readable Parquet"),
        (("bad.tar.gz",), 3, "bad.tar.gz"),
        (("loop",), 3, "loop"),
        (("data/colours/train", "-o", "file"), 3, "a file stands where the data folder should be"),
        (("data/colours/train", "-o", "file/x"), 3, "file stands where a folder is needed"),
        (("data/colours/train", "-o", "run"), 3, "not from clipft"),
        (("data/colours/train", "--split", "0.5/0.5"), 2, "split"),
        (("data/colours/train", "--split", "1/0/0"), 2, "split"),
        (("data/colours/train", "--exclude", "nosuch"), 2, "matches no class"),
        (("x" * 300,), 7, "name too long"),
    ],
    "train": [
        *ANY,
        ((*TRAIN, "-d", "missing"), 3, "missing: no such data folder"),
        ((*TRAIN, "-d", "file"), 3, "is a file"),
        ((*TRAIN, "-d", "nothing"), 3, "no prepared data set"),
        ((*TRAIN, "-d", "one-class"), 3, "no prepared data set"),
        ((*TRAIN, "-d", "loop"), 3, "loop"),
        ((*TRAIN, "-d", "x" * 300), 7, "name too long"),
        ((*TRAIN, "-o", "file"), 7, "file: is a file"),
        ((*TRAIN, "-o", "file/x"), 7, "a part of this path is a file"),
        ((*TRAIN, "-o", "x" * 300), 7, "name too long"),
        ((*TRAIN, "-m", "magic"), 2, "method"),
        ((*TRAIN, "--preset", "magic"), 2, "unknown preset"),
        ((*TRAIN, "--device", "tpu"), 2, "device"),
        ((*TRAIN, "--set", "model.name=ViT-B-33"), 4, "unknown model"),
        ((*TRAIN, "--set", "model.name=missing.json"), 4, "no such file"),
        ((*TRAIN, "--set", "model.pretrained=missing.pt"), 4, "no such file"),
        ((*TRAIN, "--set", "model.pretrained=file"), 4, ""),
        ((*TRAIN, "--set", "model.pretrained=nothing"), 4, ""),
        ((*TRAIN, "--set", "hardware.mixed_precision=fp16"), 7, "needs a GPU"),
        ((*TRAIN, "--set", "data.templates=[no placeholder]"), 2, "needs exactly one"),
        ((*TRAIN, "--set", "checkpoint.every=soon"), 2, "duration"),
        (("--resume", "missing"), 5, "no run directory"),
        (("--resume", "file"), 5, ""),
        (("--resume", "run"), 5, "is finished"),
        (("--resume", "run", "--seed", "3"), 2, "--resume"),
        (("run",), 2, "unexpected argument"),
    ],
    "evaluate": [
        *ANY,
        ((), 5, "no finished run"),
        (("--checkpoint", "missing"), 5, "no such run or checkpoint"),
        (("--checkpoint", "file"), 5, "no pointer"),
        (("--checkpoint", "nothing"), 5, "neither a checkpoint nor a run"),
        (("--checkpoint", "half-run"), 5, "half-run"),
        (("--checkpoint", "other-format"), 5, "format"),
        (("--checkpoint", "loop"), 5, "loop"),
        (("--checkpoint", "x" * 300), 7, "name too long"),
        (("--checkpoint", "run", "--split", "tests"), 2, "split"),
        (("--checkpoint", "run", "-d", "missing"), 3, "missing"),
        (("--checkpoint", "run", "-d", "file"), 3, "is a file"),
        (("--checkpoint", "run", "-d", "nothing"), 3, "no prepared data set"),
        (("--checkpoint", "run", "-o", "file"), 7, "a file"),
        (("--checkpoint", "run", "-o", "file/x"), 7, "a file"),
        (("--checkpoint", "run", "--batch-size", "0"), 2, "batch_size"),
        (("--checkpoint", "run", "--device", "tpu"), 2, "device"),
        (("--zero-shot", "--set", "model.name=ViT-B-33", "-d", "data/colours"), 4, "unknown model"),
    ],
    "predict": [
        *ANY,
        (("--checkpoint", "missing", "a.jpg"), 5, "no such run"),
        (("--checkpoint", "file", "a.jpg"), 5, "no pointer"),
        (("--checkpoint", "nothing", "a.jpg"), 5, "neither"),
        (("--checkpoint", "other-format", "data"), 5, "format"),
        (("a.jpg",), 5, "no finished run"),
        (("--checkpoint", "run", "missing.jpg"), 3, "file not found"),
        (("--checkpoint", "run", "file"), 3, "file"),
        (("--checkpoint", "run", "nothing"), 3, ""),
        (("--checkpoint", "run", "loop"), 3, "loop"),
        (("--checkpoint", "run", "x" * 300), 3, ""),
        (("--checkpoint", "run", "--top-k", "0", "data"), 2, "top_k"),
        (("--checkpoint", "run", "--threshold", "2", "data"), 2, "threshold"),
        (("--checkpoint", "run", "--format", "xml", "data"), 2, "format"),
        (("--checkpoint", "run", "-o", "nothing", "data"), 7, "is a folder"),
        (("--checkpoint", "run", "-o", "file/x", "data"), 7, "a file"),
        (("--checkpoint", "run", "data/colours/test", "file"), 10, "1 of 13"),
    ],
}


def invoke(*args: str):
    done = CliRunner().invoke(app, args)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.mark.parametrize(
    ("command", "args", "code", "words"), [(c, *case) for c, cases in CASES.items() for case in cases]
)
def test_a_mistake_has_one_clear_line(built, monkeypatch, count, command, args, code, words):
    monkeypatch.chdir(built)
    monkeypatch.setenv("COLUMNS", "300")
    done = invoke(command, *args)
    assert done.exit_code == code, done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
    assert words.lower() in done.stderr.lower()
    as_json = invoke(command, *args, "--json")
    assert as_json.exit_code == code
    printed = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert printed[-1]["error"]["exit_code"] == code
    assert len(printed) == 1 or code == 10
    count("wrong input", 1, 1, command)


def test_there_are_twenty_mistakes_a_command():
    assert all(len(cases) >= 20 for cases in CASES.values())


def test_a_class_that_test_lacks_is_told_of(built, monkeypatch):
    monkeypatch.chdir(built)
    assert invoke("prepare", "missing-in-test", "-o", "data/missing").exit_code == 0
    model = ("--set", "model.name=tiny-vit.json", "--set", "model.pretrained=tiny-vit-0.safetensors", "-m", "zero_shot")
    assert invoke("train", "-d", "data/missing", "-o", "missing-run", *model).exit_code == 0
    done = invoke("evaluate", "--checkpoint", "missing-run")
    assert done.exit_code == 0
    assert "this split has no image of c" in done.stderr


def test_a_class_that_train_lacks_is_told_of(built, monkeypatch):
    monkeypatch.chdir(built)
    done = invoke("prepare", "unknown-in-val", "-o", "data/unknown")
    assert done.exit_code == 0
    assert "3 x its class has no training images: val/c/0.png, val/c/1.png, val/c/2.png" in done.stdout + done.stderr


def test_a_thousand_classes(tmp_path, built, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n in range(1000):
        folder = tmp_path / "many" / f"class {n:04}"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.effect_noise((16, 16), 60).convert("RGB").save(folder / f"{i}.png")
    done = invoke("prepare", "many", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["train"] >= 1000


@pytest.fixture
def read_only(tmp_path):
    """A folder in which nothing can be written, not even by root."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or os.geteuid() != 0
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a read-only folder needs root")
    yield folder
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@pytest.mark.parametrize(
    "args",
    [
        ("prepare", "data/colours/train", "-o"),
        ("train", "-c", "run.yaml", "-o"),
        ("evaluate", "--checkpoint", "run", "-o"),
        ("predict", "--checkpoint", "run", "data/colours/test", "--format", "csv", "-o"),
    ],
)
def test_a_folder_that_cannot_be_written_to(built, read_only, monkeypatch, args):
    monkeypatch.chdir(built)
    done = invoke(*args, str(read_only / "out"))
    assert done.exit_code == 7, done.stderr
    assert "Read-only file system" in done.stderr
    assert done.stderr.count("error: ") == 1
