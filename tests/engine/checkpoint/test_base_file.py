"""A checkpoint can be given away: it names no place of the machine that made it, and its base is known by a digest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_world import TinyWorld, write_model
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.train import train

CPU = torch.device("cpu")
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def maker(tiny, tmp_path_factory) -> tuple[TinyWorld, dict[str, Path]]:
    """Somebody's machine, with a checkpoint of each method."""
    home = tmp_path_factory.mktemp("somebody")
    architecture, weights = (Path(shutil.copy(file, home)) for file in (tiny.architecture, tiny.weights))
    world = TinyWorld(home, architecture, weights, tiny.data)
    settings = {"training.num_epochs": 1, "hardware.num_threads": 1}
    methods = ("full", "lora", "zero_shot")
    return world, {m: train(world.config(m, home / m, settings), lambda event: None).checkpoint for m in methods}


@pytest.mark.parametrize("method", ["full", "lora", "zero_shot"])
def test_nothing_in_it_tells_where_it_was_made(maker, method):
    world, checkpoints = maker
    for file in checkpoints[method].iterdir():
        content = file.read_bytes()
        assert str(world.root).encode() not in content, file
        assert str(world.data).encode() not in content, file
    base = json.loads((checkpoints[method] / "checkpoint.json").read_text())["base"]
    assert (base["name"], base["pretrained"]) == (world.architecture.name, world.weights.name)


@pytest.fixture
def given(maker, tmp_path) -> tuple[TinyWorld, Path, Path]:
    """A LoRA checkpoint on another machine, where nothing of the maker's is; and a copy of the base weights."""
    world, checkpoints = maker
    here = Path(shutil.copytree(checkpoints["lora"], tmp_path / "downloads" / "model"))
    weights = tmp_path / "weights.safetensors"
    shutil.copy(world.weights, weights)
    return world, here, weights


def test_the_base_is_taken_from_beside_it(given):
    world, here, weights = given
    with torch.inference_mode():
        named = load_classifier(here, CPU, base=weights).classifier(IMAGES)
        for place in (here, here.parent):
            file = Path(shutil.copy(weights, place / world.weights.name))
            assert torch.equal(load_classifier(here, CPU).classifier(IMAGES), named)
            file.unlink()


def test_it_is_asked_for_and_may_be_named(given, tiny):
    world, here, weights = given
    image = str(next((tiny.data / "test").rglob("*.jpg")))
    common = ["--checkpoint", str(here)]
    for args in (["predict", *common, image], ["evaluate", *common, "-d", str(tiny.data)]):
        done = CliRunner().invoke(app, args)
        assert done.exit_code == 5
        assert f"{world.weights.name}: no such file" in done.stderr
        assert "--base FILE" in done.stderr
        assert CliRunner().invoke(app, [*args, "--base", str(weights)]).exit_code == 0
    done = CliRunner().invoke(app, ["evaluate", *common, "-d", str(tiny.data), "--zero-shot", "--base", str(weights)])
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export"])
def test_a_base_that_would_not_be_used_is_refused(maker, tiny, tmp_path, verb):
    world, checkpoints = maker
    full, base = str(checkpoints["full"]), ["--base", str(world.weights)]
    words = {
        "predict": [str(next((tiny.data / "test").rglob("*.jpg"))), "--checkpoint", full],
        "evaluate": ["--checkpoint", full, "-d", str(tiny.data), "-o", str(tmp_path / "out")],
        "export": [full, "--to", "safetensors", "-d", str(tiny.data), "-o", str(tmp_path / "out")],
    }[verb]
    done = CliRunner().invoke(app, [verb, *words, *base])
    assert done.exit_code == 2
    assert "holds its whole model, and reads no other file" in done.stderr
    assert not (tmp_path / "out").exists()


def test_another_base_is_refused_however_it_came(given, tmp_path, tiny, open_clip_models):
    world, here, _ = given
    image = str(next((tiny.data / "test").rglob("*.jpg")))
    other = write_model(tmp_path, seed=5)[1]
    done = CliRunner().invoke(app, ["predict", "--checkpoint", str(here), image, "--base", str(other)])
    assert done.exit_code == 5
    assert "belongs to another base model" in done.stderr
    shutil.copy(other, here / world.weights.name)
    assert CliRunner().invoke(app, ["predict", "--checkpoint", str(here), image]).exit_code == 5


@pytest.mark.parametrize("kind", ["missing", "folder", "no weights", "device"])
def test_a_base_that_is_none_is_refused_in_one_line(given, tmp_path, tiny, kind):
    _, here, _ = given
    path = tmp_path / "base.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind == "no weights":
        path.write_text("x" * 100)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    image = str(next((tiny.data / "test").rglob("*.jpg")))
    done = CliRunner().invoke(app, ["predict", "--checkpoint", str(here), image, "--base", str(path)])
    assert done.exit_code in (4, 5)
    assert done.stderr.count("error: ") == 1
    assert "base.safetensors" in done.stderr


def test_a_checkpoint_of_a_version_that_wrote_places_still_finds_its_base(given):
    _, here, weights = given
    card = json.loads((here / "checkpoint.json").read_text())
    card["base"].update(name="/gone/tiny-vit.json", pretrained=str(weights), file=str(weights), cache_dir=None)
    card["data"]["dir"] = "/gone/data"
    (here / "checkpoint.json").write_text(signed_json(card))
    assert load_classifier(here, CPU).card.base.pretrained == str(weights)
