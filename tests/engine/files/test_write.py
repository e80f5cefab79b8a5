"""What is written is there whole, or what was there before still is."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.evaluate import evaluate
from clipft_cli.engine.files.output_file import replaced_file
from clipft_cli.engine.files.write import replaced_folder, write_text
from clipft_cli.engine.train import train


def test_text_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    write_text(path, "one\n")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_text(path, "two\n")
    assert path.read_text() == "one\n"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "checkpoint"
    with replaced_folder(target) as new:
        (new / "a").write_text("one")
    with contextlib.suppress(OSError), replaced_folder(target) as new:
        (new / "a").write_text("tw")
        raise OSError("disk full")
    assert (target / "a").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    with replaced_folder(target) as new:
        (new / "b").write_text("three")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o027], indirect=True)
def test_every_file_and_folder_has_the_mode_that_umask_says(tiny, tmp_path, umask):
    """A model is handed on: a server or another user must be able to open all of it, as far as umask allows."""
    trained = train(tiny.config("lora", tmp_path / "run", {"training.num_epochs": 1}), lambda event: None)
    options = {"evaluate.checkpoint": trained.checkpoint, "hardware.device": "cpu"}
    evaluate(load_config(EvaluateConfig, flags=options), on_event=lambda event: None)
    with replaced_file(tmp_path / "answers.csv") as write:
        write("a,b\n")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.name != ".lock"}
    assert any(path.suffix == ".safetensors" for path in modes)
    wrong = {p: oct(m) for p, m in modes.items() if m != (0o777 if p.is_dir() else 0o666) & ~umask}
    assert wrong == {}
