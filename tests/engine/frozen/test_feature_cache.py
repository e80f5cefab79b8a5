"""Features kept between runs: the same numbers, never another model's, another data set's, or half of them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_world import TinyWorld, write_colours, write_model

from clipft_cli.engine.events import Note
from clipft_cli.engine.frozen.feature_cache import FeatureCache
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.loader import Loader
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.model.inference import Inference
from clipft_cli.engine.model.precision import Precision
from clipft_cli.engine.train import train

EIGHT = Inference(Loader(workers=1), Precision(torch.device("cpu"), None), batch_size=8)
FEATURES = torch.arange(30.0).view(15, 2)


class Recorder:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)


@pytest.fixture
def world(tiny, tmp_path) -> TinyWorld:
    """The tiny world with a data set of its own, to be changed."""
    write_colours(tmp_path / "colours")
    return TinyWorld(tmp_path, tiny.architecture, tiny.weights, tmp_path / "colours")


def probe(
    world: TinyWorld, name: str, method: str = "linear_probe", **settings: object
) -> tuple[dict[str, torch.Tensor], int]:
    """The head of a run, and how many splits' features were read."""
    recorder = Recorder()
    changes = {"cache.dir": str(world.root / "kept"), "cache.features_gb": 1, "training.num_epochs": 1, **settings}
    result = train(world.config(method, world.root / name, changes), recorder)
    n_read = sum("features of" in note and "read from" in note for note in recorder.notes)
    return load_file(result.checkpoint / "head.safetensors"), n_read


def test_a_later_run_reads_what_an_earlier_one_computed(world):
    first, n_first = probe(world, "first")
    second, n_second = probe(world, "second")
    assert (n_first, n_second) == (0, 2)
    assert all(torch.equal(first[name], second[name]) for name in first)


def change_a_weight(world: TinyWorld) -> TinyWorld:
    weights = load_file(world.weights)
    weights["visual.transformer.resblocks.1.mlp.c_fc.bias"][0] += 1e-3
    save_file(weights, world.root / "changed.safetensors")
    return TinyWorld(world.root, world.architecture, world.root / "changed.safetensors", world.data)


def change_the_data(world: TinyWorld) -> TinyWorld:
    shutil.rmtree(world.data)
    write_colours(world.data, noise=50)
    return world


def change_the_activation(world: TinyWorld) -> TinyWorld:
    """The tensors stay what they are."""
    architecture, _ = write_model(world.root, "quickgelu")
    return TinyWorld(world.root, architecture, world.weights, world.data)


def change_the_heads(world: TinyWorld) -> TinyWorld:
    described = json.loads(world.architecture.read_text())
    described["vision_cfg"]["head_width"] //= 2
    architecture = world.root / "more-heads.json"
    architecture.write_text(json.dumps(described))
    return TinyWorld(world.root, architecture, world.weights, world.data)


@pytest.mark.parametrize("change", [change_a_weight, change_the_activation, change_the_heads, change_the_data])
def test_another_model_or_data_set_is_computed_anew(world, change, open_clip_models):
    probe(world, "first")
    assert probe(change(world), "second")[1] == 0


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_a_tower_in_four_bits_has_features_of_its_own(world):
    probe(world, "first")
    assert probe(world, "lora", "lora")[1] == 2
    assert probe(world, "packed", "qlora")[1] == 0
    assert probe(world, "packed again", "qlora")[1] == 2


def test_another_number_format_is_computed_anew_and_false_reads_nothing(world):
    probe(world, "first")
    assert probe(world, "bf16", **{"hardware.mixed_precision": "bf16"})[1] == 0
    assert probe(world, "off", **{"cache.enabled": False})[1] == 0
    assert probe(world, "none", **{"cache.features_gb": 0})[1] == 0


@pytest.fixture
def val(tiny):
    manifest = read_manifest(tiny.data)
    return ImageDataset(manifest, manifest.split("val"), Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3))


def ask(cache: FeatureCache, dataset: ImageDataset, recorder: Recorder | None = None) -> bool:
    """Whether the features had to be computed; they are right in any case."""
    computed = []

    def compute() -> torch.Tensor:
        computed.append(1)
        return FEATURES.clone()

    assert torch.equal(cache.features(dataset, EIGHT.watched(recorder or Recorder()), compute), FEATURES)
    return bool(computed)


def test_what_decides_the_features_decides_the_file(val, tmp_path):
    cache = FeatureCache(tmp_path, 2**20, "weights")
    assert ask(cache, val)
    assert not ask(cache, val)
    assert ask(FeatureCache(tmp_path, 2**20, "other weights"), val)
    larger = ImageDataset(val.manifest, val.rows, Preprocess((40, 40), (0.5,) * 3, (0.5,) * 3))
    assert ask(cache, larger)
    renamed = replace(val.manifest, digest="another")
    assert ask(cache, ImageDataset(renamed, val.rows, val.preprocess))
    fewer = ImageDataset(val.manifest, val.rows[::-1], val.preprocess)
    assert ask(cache, fewer)


def test_a_file_that_was_touched_is_read_again(world, tmp_path):
    manifest = read_manifest(world.data)
    val = ImageDataset(manifest, manifest.split("val"), Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3))
    cache = FeatureCache(tmp_path / "kept", 2**20, "weights")
    assert ask(cache, val)
    os.utime(manifest.file(val.rows[3]), ns=(1, 1))
    assert ask(cache, val)


@pytest.mark.parametrize("fault", ["flipped", "cut", "empty"])
def test_a_damaged_file_is_computed_anew_aloud(val, tmp_path, fault):
    cache, recorder = FeatureCache(tmp_path, 2**20, "weights"), Recorder()
    ask(cache, val)
    (file,) = tmp_path.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes({"flipped": content, "cut": content[:-7], "empty": b""}[fault])
    assert ask(cache, val, recorder)
    assert any("is damaged" in note and "computed anew" in note for note in recorder.notes)
    assert not ask(cache, val)


def test_a_folder_that_cannot_be_is_no_cache(val, tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache, recorder = FeatureCache(tmp_path / "file" / "kept", 2**20, "weights"), Recorder()
    assert ask(cache, val, recorder)
    assert ask(cache, val, recorder)
    assert recorder.notes == []


def test_features_with_a_stand_in_are_not_kept(val, tmp_path):
    val.add_bad([[0, "a.png", "broken", "b.png"]])
    assert ask(FeatureCache(tmp_path, 2**20, "weights"), val)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_unused_makes_room(val, tmp_path):
    def kept(name: str) -> FeatureCache:
        return FeatureCache(tmp_path, 700, name)

    ask(kept("a"), val)
    ask(kept("b"), val)
    (first,) = [p for p in tmp_path.iterdir() if p.stem == kept("a").key(val, EIGHT)]
    os.utime(first, ns=(1, 1))
    ask(kept("c"), val)
    assert not first.exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert ask(FeatureCache(tmp_path / "small", 10, "a"), val)
    assert not (tmp_path / "small").exists()


def test_what_a_killed_run_left_is_cleared_once_it_is_old(val, tmp_path):
    old, fresh = (tmp_path / f".{'0' * 64}.safetensors.{pid}.tmp" for pid in (7, 8))
    for path in (old, fresh):
        path.write_bytes(b"half written")
    os.utime(old, (1, 1))
    ask(FeatureCache(tmp_path, 2**20, "weights"), val)
    assert not old.exists()
    assert fresh.exists()
