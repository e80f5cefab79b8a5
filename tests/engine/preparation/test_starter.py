from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pasting import words_of
from PIL import Image
from prepare_cases import config, folders, tree

from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.machine.method_tree import pick_method
from clipft_cli.engine.preparation.starter import pick_batch_size
from clipft_cli.engine.preparation.summary import PrepareResult
from clipft_cli.engine.prepare import prepare


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_starter_file_is_valid_and_never_overwrites() -> None:
    folders(Path("pets"))
    result = prepare(config(source="pets", seed=5))
    settings = load_config(TrainConfig, Path("clipft.yaml"))
    assert (settings.method, settings.seed, settings.data.dir) == ("lora", 5, Path("data/pets"))
    assert (settings.model.name, settings.model.pretrained) == ("ViT-B-32", "laion2b_s34b_b79k")
    assert result.next_command == "clipft train --config clipft.yaml"
    for line in Path("clipft.yaml").read_text().splitlines():
        assert not line or line.endswith(":") or "#" in line
    Path("clipft.yaml").write_text("seed: 1\n")
    again = prepare(config(source="pets", output_dir="data/b"))
    assert Path("clipft.yaml").read_text() == "seed: 1\n"
    assert "--data-dir data/b" in again.next_command


def test_every_commented_setting_of_the_starter_file_is_valid_too() -> None:
    folders(Path("pets"))
    prepare(config(source="pets"))
    lines = Path("clipft.yaml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# training:"))
    Path("clipft.yaml").write_text("\n".join(lines[:start] + [line.removeprefix("# ") for line in lines[start:]]))
    with_comments = load_config(TrainConfig, Path("clipft.yaml"))
    assert with_comments.training == load_config(TrainConfig, None, ["method=lora"]).training


@pytest.mark.parametrize(
    ("n", "gpu_gb", "tree", "method"),
    [
        (500, None, "LoRA or QLoRA", "lora"),
        (1_000, None, "LoRA or full", "full"),
        (20_000, None, "full", "full"),
        (20_000, 8, "QLoRA", "qlora" if find_spec("bitsandbytes") else "lora"),
        (5_000, 20, "LoRA", "lora"),
        (5_000, 80, "full", "full"),
        (500, 80, "LoRA", "lora"),
        (5_000, 15.99, "LoRA", "lora"),
    ],
)
def test_the_decision_tree(n: int, gpu_gb: float | None, tree: str, method: str) -> None:
    pick = pick_method(n, gpu_gb)
    assert (pick.tree, pick.method) == (tree, method)


def test_without_its_package_qlora_is_named_and_lora_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    pick = pick_method(500, 8)
    assert (pick.tree, pick.method) == ("QLoRA", "lora")
    assert "pip install 'clipft-cli[qlora]'" in pick.why


def test_few_images_get_small_batches() -> None:
    from clipft_cli.engine.machine.hardware import Machine

    assert [pick_batch_size(n, Machine(4, 16.0)) for n in (10, 100, 700)] == [4, 8, 32]
    assert pick_batch_size(10_000, Machine(4, 16.0, "a GPU", 80.0, True)) == 64


def test_the_drawn_dogs_come_with_a_held_out_drawing_and_are_the_same_each_time(tmp_path: Path) -> None:
    result = prepare(config(num_classes=2, samples_per_class=6))
    again = prepare(config(num_classes=2, samples_per_class=6, output_dir=str(tmp_path / "again")))
    assert result.digest == again.digest
    assert [c.total for c in result.classes] == [6, 6]
    assert result.is_drawn
    assert any("not photographs" in note for note in result.notes)
    held_out = hashlib.sha256(Path("image.jpg").read_bytes()).hexdigest()
    assert held_out not in tree(Path("data")).values()
    assert load_config(TrainConfig, Path("clipft.yaml")).model.name == "clipft-tiny"
    with Image.open("image.jpg") as image:
        assert image.size == (224, 224)


def test_image_jpg_is_never_overwritten() -> None:
    Path("image.jpg").write_text("mine")
    prepare(config(num_classes=2, samples_per_class=4))
    assert Path("image.jpg").read_text() == "mine"


def test_the_prompts_shown_are_those_that_train_chooses() -> None:
    from clipft_cli.engine.labels.templates import choose_templates

    made = prepare(config(num_classes=2, samples_per_class=4))
    name = made.classes[0].readable
    assert made.prompts()[0] == [template.format(name) for template in choose_templates("auto", "clipft-tiny")]


def test_the_result_is_plain_json() -> None:
    folders(Path("pets"))
    values = prepare(config(source="pets")).to_json()
    assert json.loads(json.dumps(values))["counts"] == {"train": 14, "val": 4, "test": 2}
    assert dataclasses.is_dataclass(PrepareResult)


@pytest.mark.parametrize(
    "name", ["null", "1e3", "on", "2026-01-01", "a: b", "# x", "it's", "käse", "~", "y" * 200, "a\x1bb", " "]
)
def test_the_starter_file_of_any_data_folder_is_read_back(name: str) -> None:
    folders(Path("pets"))
    made = prepare(config(source="pets", output_dir=f"./{name}"))
    assert load_config(TrainConfig, Path("clipft.yaml")).data.dir == made.data_dir == Path(name)
    other = prepare(config(source="pets", output_dir=f"./{name}2"))
    assert words_of(other.next_command)[-1] == f"{name}2"
