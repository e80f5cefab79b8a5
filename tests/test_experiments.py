"""The experiments' log and the page that tells of it say the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_world import COLOURS, EMBED_DIM, TEXT, VIT

FOLDER = Path(__file__).parents[1] / "examples" / "experiments"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The scripts import each other as they do when run: by their own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in [path.stem for path in FOLDER.glob("*.py")]:
        sys.modules.pop(name, None)


def test_the_tables_are_those_of_the_log(capsys):
    import table

    table.main()
    assert capsys.readouterr().out == (FOLDER / "tables.md").read_text(encoding="utf-8")


def test_a_budget_pays_for_probe_val_and_mix_of_own_methods():
    from budget import Cost, epochs_for

    cost = Cost(update=1.0, image=0.01)
    # 10 updates and 50 val images an epoch; a pass over train and six over val beside them
    assert epochs_for("timm-style", 105, cost, 320, 50) == 10
    assert epochs_for("full", 105 + 3.2 + 3.0, cost, 320, 50) == 10
    assert epochs_for("full", 105, cost, 320, 50) == 9


def test_the_reference_pays_less_while_most_of_it_is_frozen():
    from budget import Cost, epochs_for

    cost = Cost(update=1.0, image=0.01)
    assert epochs_for("reference-full", 105, cost, 320, 50) == 12


@pytest.fixture
def photographs(tmp_path) -> Path:
    """24 coloured images of three classes, of the size the peers crop to."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for i in range(8):
            pixels = np.array(colour) + rng.normal(0, 30, (480, 500, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "photographs" / name / f"{i}.jpg")
    return tmp_path


@pytest.fixture
def tower(tmp_path, open_clip_models) -> Path:
    """A folder with one architecture and its weights, of the patches and the size that timm's ViT-Ti/16 has."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "tower"
    folder.mkdir()
    vision = {**VIT, "image_size": 224, "layers": 1}
    vision |= {"no_ln_pre": True}
    (folder / "experiment-vit.json").write_text(
        json.dumps({"embed_dim": EMBED_DIM, "text_cfg": TEXT, "vision_cfg": vision})
    )
    open_clip.add_model_config(folder / "experiment-vit.json")
    torch.manual_seed(0)
    model = open_clip.create_model("experiment-vit")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "tower.safetensors")
    return folder


def test_a_run_of_each_kind_ends_in_the_log_and_is_not_run_twice(photographs, tower, capsys, monkeypatch):
    import recipes
    from log import Log

    monkeypatch.chdir(photographs)  # `prepare` leaves a starter file where it is called
    log = photographs / "log.jsonl"

    def run() -> list[dict]:
        recipes.main(
            data=photographs, weights=tower, scratch=photographs / "runs", sets="photographs",
            methods="linear_probe,full,timm-style", seeds="0,1", split_seed=0, budget=90, epochs=1, variant="",
            overrides=[], val_only=False, cost_only=False, log_file=log,
        )  # fmt: skip
        return [record for record in Log(log).records if "hits" in record]

    first = run()
    assert [(record["method"], record["seed"]) for record in first] == [
        ("linear_probe", 0), ("full", 0), ("timm-style", 0), ("full", 1), ("timm-style", 1),
    ]  # fmt: skip
    assert len({record["digest"] for record in first}) == 1
    assert all(len(record["hits"]) == record["n"][2] == 6 for record in first)
    assert run() == first
