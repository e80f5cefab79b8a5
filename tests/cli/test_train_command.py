"""`clipft train`: what it says, where, and the exit code of each mistake."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from choices import choices
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.cli.train_view import _alike, _epoch_header, _epoch_line, _outcome, _what_to_try
from clipft_cli.config.load import load_config
from clipft_cli.config.methods import MethodName
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.checkpoint.kept import Kept


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
    """Exit code, error and hint; nothing else may be on either stream but that the libraries are loaded."""
    lines = result.stderr.strip().removeprefix("loading the libraries (PyTorch and what it needs)\n").splitlines()
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
    assert "\nlayers " in result.stderr
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
        f"--method: method: should be {choices(MethodName)} (given: 'ful'), did you mean 'full'?",
        "`clipft help config` lists every key, `clipft help config.KEY` says what one means",
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
    assert (code, message) == (7, "taken: is a file, a folder is needed")


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
    ("kind", "zero_shot", "start", "best", "kept", "told"),
    [
        (
            "probe",
            0.233,
            0.767,
            0.767,
            Kept(epoch=0, start="probe", alpha=0.0, epochs=5),
            "76.7% top-1: the linear probe it started from; fine-tuning added nothing (zero-shot: 23.3%)",
        ),
        (
            "probe",
            0.233,
            0.767,
            0.8,
            Kept(epoch=3, start="probe", epochs=5),
            "80.0% top-1, +3.3 points over the linear probe it started from (76.7%; zero-shot: 23.3%)",
        ),
        (
            "text",
            0.5,
            0.5,
            0.5,
            Kept(epoch=0, start="text", alpha=0.0, epochs=5),
            "50.0% top-1: zero-shot, which it started from; fine-tuning added nothing",
        ),
        ("text", 0.5, 0.5, 0.5, Kept(epoch=0, start="text"), "50.0% top-1: zero-shot"),
    ],
)
def test_the_end_of_a_run_gives_each_figure_to_whom_it_is_due(kind, zero_shot, start, best, kept, told):
    score = lambda top1: SimpleNamespace(top1=top1)  # noqa: E731
    result = SimpleNamespace(
        start_kind=kind, zero_shot=score(zero_shot), start=score(start), best=score(best), kept=kept, epochs=kept.epochs
    )
    assert _outcome(result) == f"best on val: {told}"


def test_where_fine_tuning_added_nothing_the_way_on_can_be_pasted():
    kept = Kept(epoch=0, start="probe", alpha=0.0, epochs=5)
    result = SimpleNamespace(
        run_dir=Path("outputs/my run"),
        learning_rate=3e-3,
        epochs=5,
        method="lora",
        start_kind="probe",
        kept=kept,
        n_test_images=9,
    )
    told = _what_to_try(result)
    assert "`clipft train --config 'outputs/my run/config.yaml' --set training.learning_rate=0.001`" in told
    assert "`--set training.num_epochs=10`" in told
    assert "`clipft compare 'outputs/my run' linear_probe`" in told
    without_test = SimpleNamespace(**{**vars(result), "n_test_images": 0})
    assert "`clipft compare 'outputs/my run' linear_probe --split val`" in _what_to_try(without_test)


def test_without_test_images_the_next_command_measures_val(clipft, tmp_path):
    for split in ("train", "val"):
        for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (32, 32), tuple(min(c + 9 * i + (split == "val"), 255) for c in colour)).save(
                    folder / f"{i}.png"
                )
    prepared = CliRunner().invoke(app, ["prepare", "photos", "--output-dir", "data/photos"])
    assert prepared.exit_code == 0, prepared.output
    result = clipft("--method", "linear_probe", "--data-dir", "data/photos")
    assert result.exit_code == 0, result.stderr
    told = next(line for line in result.stdout.splitlines() if line.startswith("next: "))
    assert told == "next: clipft evaluate --checkpoint outputs/linear_probe --split val"
    measured = CliRunner().invoke(app, shlex.split(told.removeprefix("next: clipft ")))
    assert measured.exit_code == 0, measured.output


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_of_epochs_has_one_line_a_row(width):
    names = ("loss", "top1", "top5", "macro_f1", "balanced_accuracy")
    record = SimpleNamespace(
        epoch=12,
        train_loss=0.5,
        val=dict.fromkeys(names, 0.5),
        trains="stem + block.0 + block.1 + block.2 + classifier",
    )
    start = SimpleNamespace(**{**vars(record), "trains": "start (linear probe)"})
    for line in (
        _epoch_header(record, width, 9),
        _epoch_line(record, True, width, 9),
        _epoch_line(start, False, width, 9),
    ):
        assert len(line) <= width
    assert _epoch_line(record, True, width, 9).endswith("  best")
    assert _epoch_line(start, False, width, 9).endswith("start (linear probe)")


def test_a_figure_that_says_nothing_of_so_few_classes_has_no_column():
    record = SimpleNamespace(epoch=1, train_loss=0.5, val={"loss": 0.5, "top1": 0.5, "top5": 1.0}, trains="all")
    assert "top-5" in _epoch_header(record, 120, 6)
    assert "top-5" not in _epoch_header(record, 120, 5)
    assert "100.0%" not in _epoch_line(record, False, 120, 5)


def test_layers_that_learn_alike_share_a_row():
    def group(name: str, rate: float, decay: float) -> SimpleNamespace:
        return SimpleNamespace(name=name, n_parameters=10, peak_lr=rate, weight_decay=decay)

    even = [group(f"block.{i}{end}", 3e-3, decay) for i in range(12) for end, decay in (("", 0.01), ("/no_decay", 0))]
    assert _alike([*even, group("classifier", 3e-3, 0.01)]) == [("block.0 to classifier", "250", "3.0e-03", "0.01")]
    rising = [group(name, rate, 0.05) for name, rate in (("stem", 1e-4), ("block.0", 2e-4), ("classifier", 4e-4))]
    assert _alike(rising) == [
        ("stem to block.0", "20", "1.0e-04 to 2.0e-04", "0.05"),
        ("classifier", "10", "4.0e-04", "0.05"),
    ]
