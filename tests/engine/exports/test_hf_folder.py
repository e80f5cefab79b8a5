"""A folder for transformers and transformers.js: their own pipelines give the model's probabilities."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bare_environment import bare_python, run_bare
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.export import export
from clipft_cli.engine.exports import hf_folder
from clipft_cli.errors import MissingExtraError

PIPELINE = """
import json, sys
sys.modules["clipft_cli"] = None
from transformers import pipeline
classify = pipeline("image-classification", sys.argv[1], trust_remote_code=True, device="cpu")
print(json.dumps([{one["label"]: one["score"] for one in classify(path)} for path in sys.argv[2:]]))
"""
NODE = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(process.env.MODULES + "/");
const { pipeline, env } = await import(pathToFileURL(require.resolve("@huggingface/transformers")));
env.allowRemoteModels = false; env.localModelPath = process.argv[2];
const classify = await pipeline("image-classification", process.argv[3], { dtype: process.argv[4] });
const found = [];
for (const path of process.argv.slice(5)) {
  found.push(Object.fromEntries((await classify(path)).map((one) => [one.label, one.score])));
}
console.log(JSON.stringify(found));
"""


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory) -> Path:
    flags = {
        "export.checkpoint": runs["full"],
        "export.to": "hf",
        "export.output_dir": tmp_path_factory.mktemp("hf") / "export-hf",
        "export.int8": True,
        "export.min_agreement": 0.5,
    }
    return export(load_config(ExportConfig, flags=flags)).output_dir


@pytest.fixture(scope="module")
def pictures(tiny) -> list[str]:
    return [str(path) for path in sorted((tiny.data / "test").rglob("*-0[01].*"))]


def own_answers(run: Path, pictures: list[str]) -> list[dict[str, float]]:
    float32 = ["--set", "hardware.mixed_precision=no"]
    outcome = CliRunner().invoke(app, ["predict", *pictures, "--checkpoint", str(run), "--json", *float32])
    results = json.loads(outcome.stdout)["results"]
    return [{top["class"]: top["probability"] for top in result["top"]} for result in results]


def assert_close(found: list[dict[str, float]], wanted: list[dict[str, float]], within: float) -> None:
    assert [sorted(one) for one in found] == [sorted(one) for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, abs=within)


def test_the_folder_has_what_both_libraries_look_for(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"config.json", "preprocessor_config.json", "model.safetensors", "onnx/model.onnx"} <= names
    assert "onnx/model_quantized.onnx" in names
    assert not [name for name in names if "__pycache__" in name]
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "blue", "1": "green", "2": "red"}
    assert config["auto_map"]["AutoModelForImageClassification"].startswith("modeling_clipft.")


def test_the_pipeline_gives_the_models_probabilities(folder, runs, pictures, tmp_path):
    """In a process that knows no clipft; transformers copies the folder's code into its own cache."""
    own = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", PIPELINE, str(folder), *pictures]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200, env=own, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_close(json.loads(done.stdout), own_answers(runs["full"], pictures), 1e-6)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncated", "model.safetensors: is damaged"),
        ("flipped", "model.safetensors: is damaged"),
        ("another run's classes", "config.json: is damaged, or another export's"),
        ("record", "export.json: is damaged"),
    ],
)
def test_the_folders_own_code_refuses_what_is_damaged(folder, tmp_path, damage, words):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    name = {"another run's classes": "config.json", "record": "export.json"}.get(damage, "model.safetensors")
    content = bytearray((copy / name).read_bytes())
    if damage == "flipped":
        content[-3] ^= 1
    elif damage == "another run's classes":
        content = content.replace(b"blue", b"grey")
    else:
        del content[-9:]
    (copy / name).write_bytes(content)
    model = hf_folder.imported(copy / "modeling_clipft.py").ClipftForImageClassification
    with pytest.raises(OSError, match=words) as caught:
        model.from_pretrained(copy)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("resize", ["pad", "squash"])
def test_the_way_of_making_an_image_square_is_the_models(tiny, tmp_path, resize):
    from clipft_cli.engine.train import train

    config = tiny.config("linear_probe", tmp_path / "run", {"data.resize": resize})
    run = train(config, lambda event: None).run_dir
    flags = {"export.checkpoint": run, "export.to": "hf", "export.output_dir": tmp_path / "out"}
    pipe = export(load_config(ExportConfig, flags=flags)).checks[0]
    assert pipe.runtime.startswith("transformers ")
    assert pipe.largest_difference < 2e-6


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(hf_folder, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="needs transformers") as caught:
        hf_folder.require()
    assert caught.value.hint == "pip install 'clipft-cli[transformers]'"


@pytest.mark.slow
def test_the_pipeline_runs_where_clipft_and_open_clip_are_not_installed(folder, runs, pictures, tmp_path):
    python = bare_python(tmp_path / "venv", "transformers", "torch", "pillow")
    for absent in ("clipft_cli", "open_clip", "timm"):
        assert run_bare(python, "-c", f"import {absent}", folder=tmp_path).returncode == 1
    done = run_bare(python, "-c", PIPELINE.replace('sys.modules["clipft_cli"] = None\n', ""), str(folder), *pictures,
                    folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_close(json.loads(done.stdout), own_answers(runs["full"], pictures), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "within"), [("fp32", 0.02), ("q8", 0.2)])
def test_transformers_js_gives_the_models_probabilities(folder, runs, pictures, tmp_path, dtype, within):
    """With node, and CLIPFT_NODE_MODULES naming a folder where `npm install @huggingface/transformers` was run."""
    modules = os.environ.get("CLIPFT_NODE_MODULES")
    if shutil.which("node") is None or modules is None:
        pytest.skip("CLIPFT_NODE_MODULES names no folder with @huggingface/transformers")
    script = tmp_path / "try.mjs"
    script.write_text(NODE)
    command = ["node", str(script), str(folder.parent), folder.name, dtype, *pictures]
    own = {**os.environ, "MODULES": modules}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=own)
    assert done.returncode == 0, done.stderr
    assert_close(json.loads(done.stdout), own_answers(runs["full"], pictures), within)
