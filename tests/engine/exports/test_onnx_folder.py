"""ONNX: a picture of any size in, the model's own probabilities out, with nothing but onnxruntime."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from bare_environment import bare_python, run_bare
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.export import export
from clipft_cli.engine.exports.onnx_pixels import pixels_graph, why_not_in_a_graph
from clipft_cli.engine.exports.record import read_export
from clipft_cli.engine.exports.runtime import open_onnx
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.errors import ConfigError, ModelError

MEAN, STD = (0.48, 0.45, 0.4), (0.27, 0.26, 0.28)
SHAPES = ((100, 80), (300, 201), (33, 500), (20, 20), (33, 32), (2, 70), (481, 640), (1, 1), (7, 300))
"""(height, width): smaller and larger than the square, turned, one pixel, and longer than is resized whole."""


def exported(run: Path, target: Path, **settings):
    flags = {"export.checkpoint": run, "export.to": "onnx", "export.output_dir": target}
    return export(load_config(ExportConfig, flags={**flags, **{f"export.{k}": v for k, v in settings.items()}}))


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory) -> Path:
    """An export with eight-bit weights of the LoRA run."""
    return exported(runs["lora"], tmp_path_factory.mktemp("onnx") / "out", int8=True, min_agreement=0.5).output_dir


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_the_graph_makes_the_pixels_that_pillow_makes(mode, size, interpolation):
    rng = np.random.default_rng(0)
    preprocess = Preprocess(size, MEAN, STD, interpolation, mode, fill_color=7)
    session = onnxruntime.InferenceSession(pixels_graph(preprocess, 10).SerializeToString())
    for height, width in SHAPES:
        if (height, width) == (2, 70) and mode == "shortest" and size[0] != size[1]:
            continue  # of a picture 16 times as long as wide, bicubic makes the same picture within a filter's reach
        coarse = rng.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        (found,) = session.run(None, {"image": np.asarray(picture)[None]})
        pixels = np.rint((found[0] * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1))) * 255)
        assert np.abs(pixels - preprocess.pixels(picture)).max() <= 2, (height, width)


def test_a_very_long_picture_takes_no_gigabytes():
    preprocess = Preprocess((224, 224), MEAN, STD)
    session = onnxruntime.InferenceSession(pixels_graph(preprocess, 10).SerializeToString())
    (found,) = session.run(None, {"image": np.full((1, 2, 60_000, 3), 100, np.uint8)})
    assert found.shape == (1, 3, 224, 224)


def test_a_filter_that_onnx_lacks_is_refused_in_words():
    assert "lanczos" in why_not_in_a_graph(Preprocess((32, 32), MEAN, STD, "lanczos"))


def test_any_batch_is_taken_and_a_row_does_not_depend_on_it(folder):
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    pictures = np.random.default_rng(0).integers(0, 256, (5, 50, 70, 3), dtype=np.uint8)
    (together,) = session.run(["probabilities"], {"image": pictures})
    alone = np.concatenate([session.run(["probabilities"], {"image": one[None]})[0] for one in pictures])
    assert together.shape == (5, 3)
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-5


@pytest.mark.parametrize("name", ["model.onnx", "prepared.onnx", "model_int8.onnx", "prepared_int8.onnx"])
def test_a_graph_says_what_it_is(folder, name):
    facts = {item.key: json.loads(item.value) for item in onnx.load(folder / name).metadata_props}
    assert facts["classes"] == ["blue", "green", "red"]
    assert facts["readable"] == ["blue patch", "green patch", "red patch"]
    assert facts["preprocess"]["size"] == [32, 32]


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_the_way_of_making_an_image_square_is_in_the_graph(tiny, tmp_path, resize):
    from clipft_cli.engine.train import train

    config = tiny.config("linear_probe", tmp_path / "run", {"data.resize": resize})
    result = exported(train(config, lambda event: None).run_dir, tmp_path / "out")
    assert all(check.largest_difference <= check.bound for check in result.checks)
    mode = {"crop": "shortest", "pad": "longest", "squash": "squash"}[resize]
    assert read_export(tmp_path / "out").preprocess.resize_mode == mode


def test_eight_bit_weights_are_measured_and_written_down(folder):
    checks = {check["name"]: check for check in read_export(folder).checks}
    eight_bit = checks["model_int8.onnx"]
    assert (eight_bit["beside"], eight_bit["bound"], eight_bit["n_images"]) == ("model.onnx", None, 15)
    assert set(eight_bit["paired"]) == {"top1", "top1_fp32", "nll", "nll_fp32", "p"}
    assert 0 <= eight_bit["paired"]["p"] <= 1
    assert "model_int8.onnx beside model.onnx: top-1 " in (folder / "README.md").read_text()
    assert (folder / "model_int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size


def test_eight_bit_weights_that_agree_too_little_are_refused_unless_forced(runs, tmp_path, monkeypatch):
    from clipft_cli.engine.exports import onnx_folder

    def broken(fp32, target):
        graph = onnx.load(fp32)
        for item in graph.graph.initializer:
            if list(item.dims) == [3] and item.data_type == onnx.TensorProto.FLOAT:
                item.raw_data = np.array([500, 0, 0], np.float32).tobytes()  # one answer to everything
        return graph

    monkeypatch.setattr(onnx_folder, "eight_bit", broken)
    with pytest.raises(ModelError, match=r"eight-bit weights give the same answer as model\.onnx on"):
        exported(runs["full"], tmp_path / "new" / "out", int8=True)
    assert list(tmp_path.iterdir()) == []
    assert "model_int8.onnx" in exported(runs["full"], tmp_path / "out", int8=True, force=True).files


def test_eight_bit_weights_without_val_are_refused(runs, tmp_path):
    lone = shutil.copytree(runs["full"] / "checkpoint-final", tmp_path / "given-away")
    with pytest.raises(ModelError, match="eight-bit weights are measured on val, and val is not there"):
        exported(lone, tmp_path / "out", int8=True)
    with pytest.raises(ConfigError, match="eight-bit weights are built for onnx"):
        exported(lone, tmp_path / "out", int8=True, to="safetensors")


BLOCKER = """
import sys
ALLOWED = {"numpy", "onnxruntime", "PIL", "predict", *sys.stdlib_module_names, "google", "flatbuffers", "coloredlogs"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocker())
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", BLOCKER, str(folder / "predict.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_script_needs_three_packages_and_answers_as_predict_does(folder, runs, tiny):
    picture = str(tiny.data / "test" / "red" / "red-01.png")
    done = run_script(folder, picture, "nowhere.jpg")
    assert done.returncode == 1
    assert "nowhere.jpg: cannot be read" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == picture
    found = {line.split()[0]: float(line.split()[1].rstrip("%")) / 100 for line in lines[1:]}
    outcome = CliRunner().invoke(app, ["predict", picture, "--checkpoint", str(runs["lora"]), "--json"])
    top = {item["class"]: item["probability"] for item in json.loads(outcome.stdout)["results"][0]["top"]}
    assert found == pytest.approx(top, abs=0.03)  # eight bits, and the filter in the graph


@pytest.mark.parametrize("damage", ["truncated", "flipped", "another run's"])
def test_the_script_refuses_a_damaged_graph_in_one_line(folder, tmp_path, damage):
    copy = shutil.copytree(folder, tmp_path / "copy")
    graph = copy / "model_int8.onnx"
    content = bytearray(graph.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        content = (copy / "model.onnx").read_bytes()
    graph.write_bytes(content)
    done = run_script(copy, "photo.jpg")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [f"{graph}: is damaged (its checksum differs)"]
    (copy / "export.json").unlink()
    if damage == "truncated":
        done = run_script(copy, "photo.jpg")
        assert len(done.stderr.strip().splitlines()) == 1
        assert "cannot be loaded" in done.stderr


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", "is damaged"),
        ("of another shape", "is damaged"),
        ("of no such file", "does not belong to model_int8.onnx"),
        ("another run's", "its classes are not those of export.json"),
        ("without a graph", "cannot be read"),
    ],
)
def test_the_script_refuses_a_damaged_record_in_one_line(folder, tmp_path, how, words):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    record = json.loads((copy / "export.json").read_text())
    if how == "of no such file":
        del record["files"]["model_int8.onnx"]
    elif how == "another run's":
        record["classes"] = record["classes"][::-1]
    elif how == "without a graph":
        (copy / "model.onnx").unlink()
        (copy / "model_int8.onnx").unlink()
    text = {"cut": json.dumps(record)[:-9], "of another shape": "[[]]"}.get(how, json.dumps(record))
    (copy / "export.json").write_text(text)
    done = run_script(copy, "photo.jpg")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert words in done.stderr


@pytest.mark.slow
def test_the_script_runs_where_nothing_but_its_three_packages_is_installed(folder, tiny, tmp_path):
    python = bare_python(tmp_path / "venv", "onnxruntime", "numpy", "pillow")
    for absent in ("clipft_cli", "torch", "onnx", "yaml"):
        assert run_bare(python, "-c", f"import {absent}", folder=tmp_path).returncode == 1
    picture = str(tiny.data / "test" / "red" / "red-01.png")
    alone = run_bare(python, str(folder / "predict.py"), picture, folder=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout == run_script(folder, picture).stdout


def test_eight_bit_weights_give_an_image_the_same_answer_alone_and_among_others(folder):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 3, 32, 32), dtype=np.uint8)
    pixels[4:] //= 40  # dark neighbours: another range of activations
    model = open_onnx(folder)
    assert model.precision == "int8"
    for answer in (model.probabilities, model.logits):
        alone = np.concatenate([answer(image[None]) for image in pixels])
        assert np.array_equal(answer(pixels), alone)
        assert np.array_equal(answer(pixels[::-1])[::-1], alone)
