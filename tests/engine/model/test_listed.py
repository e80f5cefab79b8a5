"""Weights taken from a checkpoint or an export by their place are what was written there, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_world import flip_last_byte

from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.export import export
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train
from clipft_cli.errors import CheckpointError

TOWER = "open_clip_model.safetensors"


@pytest.fixture(scope="module")
def places(tiny, tmp_path_factory) -> dict[str, Path]:
    """A checkpoint with a whole model, and an export of it that open_clip loads."""
    root = tmp_path_factory.mktemp("places")
    run = train(tiny.config("full", root / "run", {"training.num_epochs": 1}), lambda event: None).run_dir
    flags = {"export.checkpoint": run, "export.to": "open_clip", "export.output_dir": root / "export"}
    export(load_config(ExportConfig, flags=flags))
    return {"checkpoint": find_checkpoint(run), "export": root / "export"}


@pytest.fixture(params=["checkpoint", "export"])
def place(places, tmp_path, request) -> Path:
    return Path(shutil.copytree(places[request.param], tmp_path / "place"))


def by_file(tiny, place: Path) -> ModelConfig:
    return ModelConfig(name=str(tiny.architecture), pretrained=str(place / TOWER))


def test_what_is_whole_is_taken(tiny, place):
    ours, named = load_backbone(ModelConfig(name=str(place))), load_backbone(by_file(tiny, place))
    assert ours.base.weights_sha256 == named.base.weights_sha256


@pytest.mark.parametrize("file", [TOWER, "open_clip_config.json"])
def test_a_damaged_file_is_refused(tiny, place, file):
    flip_last_byte(place / file)
    with pytest.raises(CheckpointError, match=f"{file}: is damaged"):
        load_backbone(ModelConfig(name=str(place)))
    if file == TOWER:
        with pytest.raises(CheckpointError, match=f"{file}: is damaged"):
            load_backbone(by_file(tiny, place))


def test_a_damaged_list_of_digests_is_refused(tiny, place):
    flip_last_byte(next(place / name for name in ("checkpoint.json", "export.json") if (place / name).is_file()))
    with pytest.raises(CheckpointError, match=r"\.json: is damaged"):
        load_backbone(by_file(tiny, place))


def test_a_file_that_no_description_lists_is_nobodys_business(tiny, place):
    other = place / "mine.safetensors"
    shutil.copyfile(tiny.weights, other)
    load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(other)))
