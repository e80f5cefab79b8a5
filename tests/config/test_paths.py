"""One rule for every path: `~`, the working folder, then the folder of the file that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from clipft_cli.config.base import Config
from clipft_cli.config.file import FileConfig
from clipft_cli.config.load import load_config
from clipft_cli.config.paths import READ, WRITTEN


def path_fields(model: type[Config], above: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Config):
            found |= path_fields(kind, f"{above}{name}.")
        elif kind is Path or Path in get_args(kind):
            found.add(above + name)
    return found


def test_every_path_has_a_rule():
    assert path_fields(FileConfig) <= READ | WRITTEN
    assert not READ & WRITTEN


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "home" / "project"
    (folder / "data/dogs").mkdir(parents=True)
    (folder / "weights.safetensors").touch()
    (folder / "clipft.yaml").write_text(
        "data: {dir: data/dogs}\nmodel: {name: ViT-B-32, pretrained: weights.safetensors}\noutput_dir: outputs/run\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


@pytest.mark.parametrize("place", [".", "data", "..", "../.."])
def test_a_file_names_what_lies_beside_it_from_wherever_it_is_used(project, monkeypatch, place):
    monkeypatch.chdir(project / place)
    for file in (Path("~/project/clipft.yaml"), project / "clipft.yaml"):
        config = load_config(FileConfig, file)
        assert config.data.dir.resolve() == project / "data/dogs"
        assert Path(config.model.pretrained).resolve() == project / "weights.safetensors"
        assert config.model.name == "ViT-B-32"
        assert config.output_dir == Path("outputs/run")  # what is still to be made: from the working folder


def test_the_working_folder_goes_before_the_files_own(project, monkeypatch, tmp_path):
    (tmp_path / "data/dogs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert load_config(FileConfig, project / "clipft.yaml").data.dir == Path("data/dogs")


def test_an_option_and_a_set_are_from_the_working_folder_alone(project, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_config(FileConfig, project / "clipft.yaml", ["data.dir=data/cats"]).data.dir == Path("data/cats")
    (project / "data/cats").mkdir()
    assert load_config(FileConfig, project / "clipft.yaml", [], {"data.dir": Path("data/cats")}).data.dir == Path(
        "data/cats"
    )


def test_a_word_is_no_path_for_a_folder_of_its_name(project, monkeypatch, tmp_path):
    (project / "ViT-B-32").mkdir()
    (project / "stanford-dogs").mkdir()
    (project / "clipft.yaml").write_text("model: {name: ViT-B-32}\nprepare: {source: stanford-dogs}\n")
    monkeypatch.chdir(tmp_path)
    config = load_config(FileConfig, project / "clipft.yaml")
    assert (config.model.name, config.prepare.source) == ("ViT-B-32", "stanford-dogs")


@pytest.mark.parametrize("key", sorted(READ | WRITTEN))
def test_the_tilde_is_the_home_folder_everywhere(project, monkeypatch, key, tmp_path):
    monkeypatch.chdir(tmp_path)
    there = "there.npz" if key == "predict.embeddings" else "there"  # its suffix says how it is written
    name, home = f"~/{there}", str(tmp_path / "home" / there)
    by_set = load_config(FileConfig, sets=[f"{key}={name}"])
    by_flag = load_config(FileConfig, flags={key: (name,) if key == "compare.names" else Path(name)})
    file = tmp_path / "x.yaml"
    nested = name
    for part in reversed(key.split(".")):
        nested = {part: nested}
    file.write_text(json.dumps(nested))
    for config in (by_set, by_flag, load_config(FileConfig, file)):
        value = config
        for part in key.split("."):
            value = getattr(value, part)
        assert str(value[0] if isinstance(value, tuple) else value) == home
