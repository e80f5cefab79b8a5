"""Runs to export: trained once, each in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_world import write_model

from clipft_cli.engine.train import train

SETTINGS = {"full": {"model.head": "linear"}, "lora": {"model.head": "cosine"}}


@pytest.fixture(scope="session")
def runs(tiny, tmp_path_factory) -> dict[str, Path]:
    """The run directory of a full and of a LoRA run on the coloured images."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        method: train(tiny.config(method, folder / method, settings), lambda event: None).run_dir
        for method, settings in SETTINGS.items()
    }


@pytest.fixture(scope="session")
def towers(tiny, tmp_path_factory) -> Callable[[str], Path]:
    """A short run on a tower of any family, by the family's name."""
    folder, made = tmp_path_factory.mktemp("towers"), {}

    def run_of(family: str) -> Path:
        if family not in made:
            architecture, weights = write_model(folder, family)
            settings = {
                "model.name": architecture,
                "model.pretrained": weights,
                "training.num_epochs": 1,
                "model.head": "linear",
            }
            made[family] = train(tiny.config("linear_probe", folder / family, settings), lambda event: None).run_dir
        return made[family]

    return run_of
