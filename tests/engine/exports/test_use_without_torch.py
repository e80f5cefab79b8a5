"""predict and evaluate on an export: the run's own answers, and torch is never imported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from fresh_process import modules_loaded_by
from typer.testing import CliRunner

from clipft_cli.cli import render
from clipft_cli.cli.app import app
from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.export import export
from clipft_cli.engine.exports import runtime
from clipft_cli.engine.files.digest import file_digest
from clipft_cli.engine.files.signed import signed_json

FLOAT32 = ("--set", "hardware.mixed_precision=no")


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("use") / "out"
    flags = {"export.checkpoint": runs["full"], "export.to": "onnx", "export.output_dir": target}
    return export(load_config(ExportConfig, flags=flags)).output_dir


def clipft(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_predict_answers_as_the_run_does(folder, runs, tiny):
    pictures = tiny.data / "test"
    both = []
    for checkpoint in (folder, runs["full"]):
        outcome = clipft("predict", pictures, "--checkpoint", checkpoint, "--json", "--top-k", 3, *FLOAT32)
        assert outcome.exit_code == 0, outcome.output
        results = json.loads(outcome.stdout)["results"]
        both.append({(r["path"], t["class"]): t["probability"] for r in results for t in r["top"]})
    assert len(both[0]) == 36
    assert both[0] == pytest.approx(both[1], abs=1e-5)


def test_evaluate_measures_what_the_run_measures(folder, runs, tiny, tmp_path):
    both = []
    for name, checkpoint in (("export", folder), ("run", runs["full"])):
        outcome = clipft(
            "evaluate", "--checkpoint", checkpoint, "--data-dir", tiny.data, "-o", tmp_path / name, "--json", *FLOAT32
        )
        assert outcome.exit_code == 0, outcome.output
        both.append(json.loads(outcome.stdout))
    for key in ("method", "model", "weights_digest", "temperature", "is_training_data_set", "label"):
        assert both[0][key] == both[1][key], key
    assert both[0]["top1"] == pytest.approx(both[1]["top1"], abs=1e-5)
    assert (both[0]["device"], both[0]["precision"]) == ("cpu (onnxruntime)", "fp32")


@pytest.mark.parametrize("command", [("predict", "{picture}"), ("evaluate", "--data-dir", "{data}", "-o", "{out}")])
def test_torch_is_not_imported(folder, tiny, tmp_path, command):
    places = {"picture": tiny.data / "test" / "red" / "red-01.png", "data": tiny.data, "out": tmp_path / "reports"}
    arguments = [argument.format(**places) for argument in command]
    code, loaded = modules_loaded_by(*arguments, "--checkpoint", str(folder), folder=tmp_path)
    assert code == 0
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "torchvision", "open_clip", "timm", "onnx"}


WAITED_FOR = {"typer", "rich", "pydantic", "yaml", "numpy", "PIL", "onnxruntime"}
"""What one image from cold pays for: each of these is needed for the answer, and takes its tens of milliseconds."""


def test_one_image_from_cold_imports_nothing_but_what_it_needs(folder, tiny, tmp_path):
    picture = str(tiny.data / "test" / "red" / "red-01.png")
    code, loaded = modules_loaded_by("predict", picture, "--checkpoint", str(folder), folder=tmp_path)
    assert code == 0
    installed = {root for root in loaded if any(root in names for names in (WAITED_FOR, KNOWN_TO_COST))}
    assert installed == WAITED_FOR


KNOWN_TO_COST = {
    *("torch", "torchvision", "open_clip", "timm", "safetensors", "scipy", "sklearn", "matplotlib", "jinja2", "onnx"),
    *("filelock", "psutil", "tensorboard", "huggingface_hub", "transformers", "pyarrow", "requests", "markdown_it"),
    *("pygments", "asyncio", "multiprocessing", "unittest", "http", "xml"),
}


def test_without_onnxruntime_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    outcome = clipft("predict", "photo.jpg", folder / "predict.py", "--checkpoint", folder)
    assert outcome.exit_code == 9
    assert "pip install 'clipft-cli[onnx]'" in outcome.stderr


def damaged(folder: Path, target: Path, how: str) -> Path:
    copy = Path(shutil.copytree(folder, target))
    graph = copy / "prepared.onnx"
    content = bytearray(graph.read_bytes())
    if how == "truncated":
        graph.write_bytes(content[:-1])
    elif how == "flipped":
        content[len(content) // 3] ^= 1
        graph.write_bytes(content)
    elif how == "gone":
        graph.unlink()
    else:  # another run's graph, with the digest that belongs to it
        model = onnx.load(graph)
        next(item for item in model.metadata_props if item.key == "classes").value = json.dumps(["cat", "dog", "hen"])
        onnx.save(model, graph)
        record = json.loads((copy / "export.json").read_text())
        record["files"]["prepared.onnx"] = file_digest(graph)
        (copy / "export.json").write_text(signed_json(record))
    return copy


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "is damaged"),
        ("flipped", "is damaged"),
        ("gone", "is missing"),
        ("another run's", "its classes are not those of export.json"),
    ],
)
def test_a_damaged_export_is_refused_in_one_line(folder, tiny, tmp_path, how, words, command):
    copy = damaged(folder, tmp_path / "copy", how)
    what = [tiny.data / "test"] if command == "predict" else ["--data-dir", tiny.data]
    outcome = clipft(command, *what, "--checkpoint", copy)
    assert outcome.exit_code == 5, outcome.output
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in outcome.stderr


def test_an_export_that_clipft_does_not_run_says_which_it_does(runs, tiny, tmp_path):
    flags = {"export.checkpoint": runs["full"], "export.to": "safetensors", "export.output_dir": tmp_path / "out"}
    export(load_config(ExportConfig, flags=flags))
    outcome = clipft("predict", tiny.data / "test", "--checkpoint", tmp_path / "out")
    assert outcome.exit_code == 5
    assert "clipft runs an ONNX export" in outcome.stderr


def test_the_untouched_model_is_not_in_an_export(folder, tiny):
    outcome = clipft("evaluate", "--zero-shot", "--checkpoint", folder, "--data-dir", tiny.data)
    assert outcome.exit_code == 2
    assert "does not hold the untouched model" in outcome.stderr


def both_graphs(runs, target: Path) -> Path:
    flags = {"export.checkpoint": runs["full"], "export.to": "onnx", "export.output_dir": target}
    return export(load_config(ExportConfig, flags={**flags, "export.int8": True, "export.force": True})).output_dir


def test_of_two_graphs_the_one_that_answers_is_said_and_can_be_chosen(runs, folder, tiny, tmp_path):
    both = both_graphs(runs, tmp_path / "both")
    picture = tiny.data / "test" / "red" / "red-01.png"
    evaluated = ("evaluate", "--data-dir", tiny.data, "-o", tmp_path / "reports")
    for command in (("predict", picture), evaluated):
        said = clipft(*command, "--checkpoint", both, "--json")
        assert "the graph of eight-bit weights answers; `--graph fp32` takes the other" in said.stderr
        assert '"precision": "int8"' in said.stdout
        chosen = clipft(*command, "--checkpoint", both, "--graph", "fp32", "--json")
        assert ('"precision": "fp32"' in chosen.stdout, "answers;" in chosen.stderr) == (True, False)
        only = clipft(*command, "--checkpoint", folder, "--graph", "int8")
        assert (only.exit_code, "has no graph of eight-bit weights" in only.stderr) == (2, True)
        run = clipft(*command, "--checkpoint", runs["full"], "--graph", "fp32")
        assert (run.exit_code, "no ONNX export, and has no graph" in run.stderr) == (2, True)


def test_evaluate_of_an_export_does_not_say_that_it_loads_pytorch(folder, runs, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "SLOW_IMPORT", 0.0)
    for checkpoint, is_said in ((folder, False), (runs["full"], True)):
        done = clipft("evaluate", "--checkpoint", checkpoint, "--data-dir", tiny.data, "-o", tmp_path / "reports")
        assert "loading the libraries" in done.stderr
        assert ("PyTorch" in done.stderr) == is_said
