"""`clipft train`: what it says, where, and the exit code of each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.cli.train_view import _kept
from clipft_cli.config.commands import TrainConfig
from clipft_cli.config.load import load_config


@pytest.fixture
def clipft(tiny, tmp_path, monkeypatch):
    """`clipft train` with those arguments, on the tiny world, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "data.dir": tiny.data,
        "data.batch_size": 8,
        "data.num_workers": 0,
        "model.name": tiny.architecture,
        "model.pretrained": tiny.weights,
        "hardware.device": "cpu",
        "hardware.mixed_precision": "'no'",
        "training.num_epochs": 2,
    }

    def clipft(*args: str, on_tiny: bool = True):
        sets = [f"--set={key}={value}" for key, value in settings.items()] if on_tiny else []
        return CliRunner().invoke(app, ["train", *sets, *args], env={"COLUMNS": "200"})

    return clipft


def error_of(result) -> tuple[int, str, str]:
    """Exit code, error and hint; nothing else may be on either stream."""
    lines = result.stderr.strip().splitlines()
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(lines) <= 2, result.stderr
    assert lines[0].startswith("error: ")
    return result.exit_code, lines[0].removeprefix("error: "), lines[1].removeprefix("hint: ") if lines[1:] else ""


def test_a_run_speaks_on_stderr_and_answers_on_stdout(clipft):
    result = clipft("--method", "full")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("best on val: ")
    assert "saved: outputs/full/checkpoint-" in result.stdout
    assert "next: clipft evaluate --checkpoint outputs/full --split test" in result.stdout
    assert "layer group" in result.stderr
    assert "zero-shot" in result.stderr


def test_quiet_leaves_the_result_alone(clipft):
    result = clipft("--method", "zero_shot", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("best on val: ")


def test_json_is_one_object_on_stdout(clipft):
    result = clipft("--method", "zero_shot", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["method"] == "zero_shot"
    assert answer == json.loads(Path("outputs/zero_shot/summary.json").read_text())


@pytest.mark.parametrize(
    ("args", "code", "kind"),
    [
        (("--method", "ful"), 2, "configuration"),
        (("--data-dir", "gone"), 3, "data"),
        (("--set", "model.name=gone"), 4, "model"),
        (("--bogus",), 2, "configuration"),
    ],
)
def test_json_is_one_object_for_an_error_too(clipft, args, code, kind):
    result = clipft("--json", *args)
    assert result.exit_code == code
    assert json.loads(result.stdout)["error"]["kind"] == kind
    assert json.loads(result.stdout)["error"]["exit_code"] == code


def test_a_missing_data_folder(clipft):
    assert error_of(clipft("--data-dir", "gone")) == (
        3,
        f"gone: no such data folder (looked from {Path.cwd()})",
        "`clipft prepare` writes one; `clipft prepare FOLDER` for your own images",
    )


def test_a_folder_that_was_not_prepared(clipft):
    Path("photos/cat").mkdir(parents=True)
    code, message, hint = error_of(clipft("--data-dir", "photos"))
    assert (code, message) == (3, "photos: is no prepared data set (dataset.json is missing)")
    assert "clipft prepare photos" in hint


def test_an_unknown_model_lists_near_ones(clipft):
    code, message, hint = error_of(clipft("--set", "model.name=ViT-B-33"))
    assert code == 4
    assert message.startswith("model.name: unknown model 'ViT-B-33'; near ones: ViT-B-32")
    assert "clipft-tiny" in hint


def test_an_unknown_tag_lists_the_tags(clipft):
    code, message, hint = error_of(clipft("--set", "model.name=RN50", "--set", "model.pretrained=opanai"))
    assert (code, message) == (
        4,
        "model.pretrained: 'opanai' is neither a tag of RN50 nor a file; near ones: openai",
    )
    assert hint == "tags: openai, yfcc15m, cc12m"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there(clipft):
    code, message, _ = error_of(clipft("--device", "cuda"))
    assert (code, message) == (7, "hardware.device: 'cuda' is not available here")


def test_a_wrong_method(clipft):
    assert error_of(clipft("--method", "ful")) == (
        2,
        "--method: method: should be 'zero_shot', 'linear_probe', 'full', 'lora' or 'qlora' (given: 'ful')",
        "`clipft train --print-config` shows the keys of train with their values; docs/config.md lists all",
    )


def test_an_unknown_layer_in_the_schedule(clipft):
    schedule = "[{epoch: 0, layers: [classifier, block.7]}]"
    key = "training.progressive_unfreezing"
    code, message, _ = error_of(
        clipft("--quiet", "--set", f"{key}.enabled=true", "--set", f"{key}.unfreeze_schedule={schedule}")
    )
    assert code == 2
    assert message == (
        f"{key}.unfreeze_schedule: no layer is called 'block.7'; near ones: block.2, block.1, block.0;"
        " this tower has stem, block.0 to block.2, top, and classifier"
    )


@pytest.mark.parametrize(
    "option", [("--seed", "3"), ("--set", "seed=3"), ("--method", "lora"), ("--dry-run",), ("--print-config",)]
)
def test_resume_takes_no_other_option(clipft, option):
    code, message, hint = error_of(clipft("--resume", *option, on_tiny=False))
    assert (code, message) == (2, "--resume goes on with the run's own config: no other option can change it")
    assert hint.startswith("start a new run to change settings")


def test_resume_where_there_is_no_run(clipft):
    assert error_of(clipft("--resume", on_tiny=False))[:2] == (5, "outputs: no interrupted run here")
    assert error_of(clipft("--resume", "gone", on_tiny=False))[:2] == (
        5,
        "gone: is no run directory (it has no config.yaml)",
    )


def test_a_run_without_resume_is_refused_with_the_right_command(clipft):
    assert error_of(clipft("outputs/full", on_tiny=False)) == (
        2,
        "unexpected argument 'outputs/full'",
        "to go on with a run: `clipft train --resume outputs/full`",
    )


def test_an_output_folder_that_is_a_file(clipft):
    Path("taken").write_text("")
    code, message, _ = error_of(clipft("--output-dir", "taken"))
    assert (code, message) == (7, "taken: is a file, the run needs a folder")


def test_debug_shows_the_traceback(clipft):
    result = clipft("--data-dir", "gone", "--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_the_printed_config_loads_back(clipft):
    result = clipft("--method", "lora", "--seed", "7", "--print-config")
    assert result.exit_code == 0
    Path("printed.yaml").write_text(result.stdout)
    config = load_config(TrainConfig, Path("printed.yaml"))
    assert (config.method, config.preset, config.seed) == ("lora", "lora", 7)
    again = clipft("--config", "printed.yaml", "--print-config", on_tiny=False)
    assert again.stdout == result.stdout
    as_json = clipft("--method", "lora", "--seed", "7", "--print-config", "--json")
    assert json.loads(as_json.stdout) == yaml.safe_load(result.stdout)


def test_the_printed_schema_is_json(clipft):
    assert json.loads(clipft("--print-schema").stdout)["properties"]["training"]


def test_a_dry_run_writes_nothing(clipft, tmp_path):
    result = clipft("--dry-run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("dry run: ")
    assert "nothing was written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_of_a_name_is_said(clipft):
    clipft("--method", "zero_shot")
    assert "that name is taken: this run is outputs/zero_shot-2" in clipft("--method", "zero_shot").stderr


@pytest.mark.parametrize(
    ("alpha", "epochs", "told"),
    [
        (1.0, (4,), "epoch 4"),
        (0.5, (4, 2), "soup of epochs 2, 4, mixed with the start at alpha 0.5"),
        (0.0, (4, 2), "the start itself"),
    ],
)
def test_a_run_says_which_weights_it_kept(alpha, epochs, told):
    assert _kept(SimpleNamespace(alpha=alpha, best_epoch=4, soup=SimpleNamespace(epochs=epochs))) == told
