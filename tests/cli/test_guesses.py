"""What was probably meant, in one form for every error."""

from __future__ import annotations

from typing import get_args

import pytest
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.cli.completion import contenders, methods, presets, runs, settings, splits
from clipft_cli.config.data import AugmentationName


def called(*words: str):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["trian"], "trian: no such command, did you mean 'train'?", "commands: prepare, train,"),
        (
            ["train", "--epochs", "3"],
            "--epochs: no such option of `clipft train`",
            "settings are given as `--set training.num_epochs=VALUE`",
        ),
        (
            ["train", "--lr", "3"],
            "--lr: no such option of `clipft train`",
            "settings are given as `--set training.learning_rate=VALUE`",
        ),
        (
            ["train", "--batch-size=8"],
            "--batch-size: no such option",
            "`--set data.batch_size=VALUE`",
        ),
        (
            ["train", "--method", "lorra"],
            "(given: 'lorra'), did you mean 'lora'",
            "`clipft help config` lists every key",
        ),
        (["export", "--to", "onx"], "(given: 'onx'), did you mean 'onnx'?", "`clipft help config`"),
        (
            ["train", "--set", "training.lr=1"],
            "unknown key, did you mean training.learning_rate?",
            "`clipft help config`",
        ),
        (["help", "config.training.epohcs"], "no key is called", "`clipft help config` lists all of them"),
        (["train", "--gpu"], "--gpu: no such option", "it is `--device cuda`"),
        (["export", "--checkpoint", "x"], "--checkpoint: no such option of `clipft export`", "`clipft export RUN`"),
        (["train", "--datadir", "x"], "did you mean '--data-dir'", "`clipft train -h` shows how it is called"),
        (["train", "--seed", "x"], "invalid value for '--seed'", "`clipft train -h`"),
        (["--colour"], "--colour: no such option of `clipft`", "`clipft -h`"),
        (["evaluate", "--split"], "", "`clipft evaluate -h`"),
        (["help", "trian"], "did you mean 'train'?", "`clipft help config` lists all"),
        (["help", "config.max_grad"], "did you mean training.max_grad_norm", "`clipft help config`"),
    ],
)
def test_a_wrong_word_is_answered_in_two_lines(words, error, hint):
    result = called(*words)
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert result.stdout == ""


def test_a_path_that_is_nearly_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("data/dogs", "outputs/lora"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "clipft.yml").write_text("")
    for words, meant in (
        (("train", "--data-dir", "data/dgos"), "data/dogs"),
        (("evaluate", "--checkpoint", "outputs/loar"), "outputs/lora"),
        (("train", "--config", "clipft.yalm"), "clipft.yml"),
        (("prepare", "dta"), "data"),
        (("train", "--resume", "outputs/lor"), "outputs/lora"),
    ):
        assert f", did you mean {meant}?" in called(*words).stderr


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["train", "-h"], ["help"], ["help", "train"]])
def test_help_is_no_error(words):
    result = called(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: clipft")


def test_help_explains_keys_sections_and_presets():
    assert "Gradient norm above which it is clipped" in called("help", "config.max_grad_norm").stdout
    assert "training.soup.enabled" in called("help", "training.soup").stdout
    assert "lora.lora_alpha" in called("help", "lora").stdout
    assert "reference-full" in called("help", "presets").stdout


def test_values_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "mine").mkdir(parents=True)
    (tmp_path / "outputs" / "mine" / "config.yaml").write_text("")
    assert methods("l") == ["linear_probe", "lora"]
    assert presets("few") == ["few-shot"]
    assert splits("t") == ["train", "test"]
    begun = [name for name in get_args(AugmentationName) if name.startswith("s")]
    assert settings("data.augmentation=s") == [f"data.augmentation={name}" for name in begun]
    assert {"standard", "strong"} <= set(begun)
    assert settings("training.num_e") == ["training.num_epochs=auto"]
    assert runs("out") == ["outputs/mine"]
    assert contenders("") == [*methods(""), "outputs/mine"]


def test_the_shell_gets_what_is_completed():
    result = called_with_completion("clipft train --method l")
    assert result.stdout.split() == ["linear_probe", "lora"]
    assert called_with_completion("clipft help tr").stdout.split() == ["train"]
    assert "config.lora.r" in called_with_completion("clipft help config.lora").stdout.split()


def called_with_completion(words: str):
    environment = {"_CLIPFT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    return CliRunner().invoke(app, [], prog_name="clipft", env=environment)
