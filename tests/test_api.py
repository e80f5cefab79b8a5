"""The public face: what README shows, the same figures as the commands, and nothing heavy before it is used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from tiny_world import TinyWorld
from typer.testing import CliRunner

import clipft_cli as clipft
from clipft_cli.cli.app import app
from clipft_cli.config.load import load_config

ROOT = Path(__file__).parents[1]
PICTURES = ("test/red/red-00.jpg", "test/blue/blue-01.png", "test/green/green-02.jpg")


@pytest.fixture(scope="module")
def runs(tiny: TinyWorld, tmp_path_factory) -> Path:
    """A folder with a finished run of each of two methods."""
    root = tmp_path_factory.mktemp("runs")
    for method in ("full", "lora"):
        clipft.train(tiny.config(method, root / "outputs" / method, {"training.num_epochs": 1}))
    return root / "outputs"


@pytest.fixture(scope="module")
def model(runs: Path) -> clipft.LoadedModel:
    return clipft.load(runs / "full", device="cpu", mixed_precision="no")


@pytest.fixture
def pictures(tiny: TinyWorld) -> list[Path]:
    return [tiny.data / name for name in PICTURES]


def command(*arguments: object, exit_code: int = 0) -> dict:
    outcome = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert outcome.exit_code == exit_code, outcome.output
    return json.loads(outcome.stdout)


def test_importing_it_imports_nothing_heavy():
    script = "import sys, clipft_cli; dir(clipft_cli); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "numpy", "PIL", "pydantic", "yaml", "typer", "rich", "open_clip"}


def test_every_public_name_is_there_and_none_other():
    assert clipft.__all__ == sorted(clipft.__all__)
    for name in clipft.__all__:
        assert getattr(clipft, name) is getattr(clipft, name)
        assert name in dir(clipft)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        clipft.trian  # noqa: B018


def test_type_checkers_see_every_public_name_and_the_marker():
    source = (ROOT / "clipft_cli" / "__init__.py").read_text(encoding="utf-8")
    assert sorted(re.findall(r" import (\w+) as \1\n", source)) == clipft.__all__
    assert (ROOT / "clipft_cli" / "py.typed").read_bytes() == b""
    assert '"py.typed"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_predictions_are_those_of_the_command(runs, method, pictures):
    shown = command("predict", "--checkpoint", runs / method, "-k", 2, *pictures, "nowhere.jpg", exit_code=10)
    found = clipft.load(runs / method).predict([*pictures, "nowhere.jpg"], top_k=2)
    assert [item.to_json() for item in found] == shown["results"]
    assert found[0].probability == found[0].answers[0].probability
    assert found[3].problem == "file not found"
    assert found[3].predicted is None


@pytest.mark.parametrize("place", ["full", "full/best", "full/last", "full/checkpoint-epoch-1"])
def test_a_run_a_pointer_and_a_checkpoint_are_loaded(runs, place, pictures, model):
    loaded = clipft.load(str(runs / place), device="cpu", mixed_precision="no")
    assert loaded.classes == ("blue", "green", "red")
    assert [info.readable for info in loaded.class_infos] == ["blue patch", "green patch", "red patch"]
    if place in ("full", "full/best"):
        assert np.array_equal(loaded.embed(pictures), model.embed(pictures))


def test_paths_pillow_images_and_arrays_give_the_same_answers(model, pictures):
    path = pictures[0]
    with Image.open(path) as opened:
        forms = [path, str(path), opened, np.asarray(opened), opened.convert("RGBA")]
        answers = [item.answers for item in model.predict(forms, top_k=3)]
    assert answers == [answers[0]] * len(forms)


def test_a_pillow_image_is_turned_as_its_file_would_be(model, pictures, tmp_path):
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(pictures[1]).save(turned, exif=exif)
    from_file, as_opened, upright = model.embed(
        [turned, Image.open(turned), ImageOps.exif_transpose(Image.open(turned))]
    )
    assert np.array_equal(from_file, as_opened)
    assert np.array_equal(from_file, upright)


def test_a_grey_array_is_a_grey_picture(model):
    grey = np.full((9, 7), 90, np.uint8)
    one, two, three = model.embed([grey, grey[:, :, None], np.stack([grey] * 3, axis=2)])
    assert np.array_equal(one, two)
    assert np.array_equal(one, three)


def test_a_stack_of_images_is_a_list_of_them(model):
    stack = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    assert np.array_equal(model.embed(stack), model.embed(list(stack)))


def test_features_are_of_unit_length_and_in_order(model, pictures):
    features = model.embed(pictures)
    assert features.dtype == np.float32
    assert features.shape == (3, 24)
    assert np.linalg.norm(features, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)
    assert np.allclose(features[::-1], model.embed(pictures[::-1]), atol=1e-6)
    assert np.allclose(features, model.embed(pictures, batch_size=1), atol=1e-5)


def test_no_images_are_no_answers(model):
    assert model.predict([]) == []
    assert model.embed(iter(())).shape == (0, 24)


WRONG = {
    "float": (np.zeros((8, 8, 3), np.float32), "an array of float32; uint8"),
    "channels": (np.zeros((3, 8, 8), np.uint8), r"an array of shape \(3, 8, 8\)"),
    "empty": (np.zeros((0, 8, 3), np.uint8), "no pixels"),
    "number": (7, "not an image: int"),
    "nothing": (None, "not an image: NoneType"),
    "folder": (Path("."), "a folder, not a file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_image_has_its_reason_and_stops_no_other(model, pictures, name):
    image, reason = WRONG[name]
    good, bad = model.predict([pictures[0], image])
    assert good.predicted in model.classes
    assert re.search(reason, bad.problem)
    with pytest.raises(clipft.DataError, match=reason):
        model.embed([pictures[0], image])


@pytest.mark.parametrize("images", ["a.jpg", Path("a.jpg"), Image.new("RGB", (4, 4)), np.zeros((4, 4, 3), np.uint8), 5])
def test_one_image_is_no_list_of_images(model, images):
    with pytest.raises(clipft.DataError, match="a list of images is needed") as caught:
        model.predict(images)
    assert "model.predict([image])" in caught.value.hint


def test_a_wrong_option_is_named(model, pictures, runs):
    with pytest.raises(clipft.ConfigError, match="top_k: should be greater than or equal to 1"):
        model.predict(pictures, top_k=0)
    with pytest.raises(clipft.ConfigError, match="device: should be auto, cpu"):
        clipft.load(runs / "full", device="gpu")
    with pytest.raises(clipft.CheckpointError, match="nowhere: no such run or checkpoint"):
        clipft.load("nowhere")


def test_below_the_threshold_an_answer_is_unknown(model, pictures):
    (found,) = model.predict(pictures[:1], threshold=1.0)
    assert found.is_unknown
    assert found.predicted is None


def test_evaluate_gives_the_figures_of_the_command(runs, tmp_path):
    options = clipft.EvaluateOptions(checkpoint=runs / "lora", output_dir=tmp_path / "report")
    events: list[object] = []
    measured = clipft.evaluate(clipft.EvaluateConfig(evaluate=options), on_event=events.append)
    shown = command("evaluate", "--checkpoint", runs / "lora", "--output-dir", tmp_path / "report")
    clock = {"seconds", "images_per_second"}
    found = json.loads(json.dumps(measured.to_json()))
    assert {key: value for key, value in found.items() if key not in clock} == {
        key: value for key, value in shown.items() if key not in clock
    }
    assert any(isinstance(event, clipft.Note) for event in events)


def test_training_takes_what_is_left_open_from_the_preset(tmp_path, monkeypatch):
    from clipft_cli.config.load import with_preset

    given = clipft.TrainConfig(method="lora", training=clipft.TrainingConfig(num_epochs=3))
    shown = load_config(clipft.TrainConfig, flags={"method": "lora", "training.num_epochs": 3})
    assert given != shown
    assert with_preset(given) == shown
    assert with_preset(shown) == shown
    with pytest.raises(clipft.ConfigError, match="preset 'few-shot' is for method lora"):
        with_preset(clipft.TrainConfig(method="full", preset="few-shot"))


def test_recipes_of_a_comparison_are_the_presets_on_its_data():
    from clipft_cli.config.recipes import preset_recipes

    config = load_config(clipft.CompareConfig, flags={"data.dir": "there", "seed": 3, "hardware.device": "cpu"})
    recipes = preset_recipes(config)
    flags = {"data.dir": "there", "seed": 3, "hardware.device": "cpu"}
    for method in ("full", "lora", "linear_probe"):
        assert recipes[method] == load_config(clipft.TrainConfig, flags={**flags, "method": method})


def test_methods_and_runs_are_compared(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = clipft.CompareOptions(names=(str(runs / "full"), str(runs / "lora")), output_dir=Path("compare"))
    hardware = clipft.HardwareConfig(device="cpu", mixed_precision="no", num_threads=1)
    compared = clipft.compare(clipft.CompareConfig(compare=options, hardware=hardware))
    assert {row.label for row in compared.rows} == {"full", "lora", "linear_probe", "zero_shot"}
    assert (tmp_path / "compare" / "compare.html").is_file()
    with pytest.raises(clipft.ConfigError, match="neither a method nor a run"):
        clipft.compare(clipft.CompareConfig(compare=clipft.CompareOptions(names=("loara",))))


def test_a_run_from_python_ends_as_that_of_the_command(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"model.name": str(tiny.architecture), "model.pretrained": str(tiny.weights), "training.num_epochs": 1}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    shown = command("train", "--method", "lora", "--data-dir", tiny.data, "--output-dir", "by-command", *sets)
    trained = clipft.train(
        clipft.TrainConfig(
            method="lora",
            output_dir=Path("by-python"),
            data=clipft.DataConfig(dir=tiny.data),
            model=clipft.ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights)),
            training=clipft.TrainingConfig(num_epochs=1),
        )
    )
    assert trained.best.loss == shown["best"]["loss"]
    assert trained.temperature == shown["temperature"]


def test_a_set_of_drawings_is_prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    events: list[object] = []
    options = clipft.PrepareOptions(num_classes=2, samples_per_class=8, output_dir=Path("dogs"))
    made = clipft.prepare(clipft.PrepareConfig(prepare=options), on_event=events.append)
    assert (tmp_path / "dogs" / "dataset.json").is_file()
    assert len(made.classes) == 2
    assert events


def test_a_run_that_is_not_there_is_not_resumed():
    with pytest.raises(clipft.CheckpointError, match="is no run directory"):
        clipft.resume("nowhere")


def test_the_installed_package_lists_its_marker():
    shipped = files("clipft-cli") or []
    if any(str(path).startswith("clipft_cli/") for path in shipped):  # not where it is installed as editable
        assert any(str(path) == "clipft_cli/py.typed" for path in shipped)


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "python.md"], ids=lambda path: path.stem)
def test_the_pages_python_runs(page, runs, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "full").symlink_to(runs / "full")
    (tmp_path / "photo.jpg").symlink_to(tiny.data / PICTURES[0])
    exec("\n".join(python_blocks(page)), {})
    assert capsys.readouterr().out.startswith("red 0.")
