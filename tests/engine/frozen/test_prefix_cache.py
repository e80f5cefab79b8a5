"""What is frozen is computed once, and training does not notice."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_world import COLOURS, SIZES, TinyWorld, read_metrics, write_model

from clipft_cli.config.cache import CacheConfig
from clipft_cli.engine.events import Note, Plan
from clipft_cli.engine.frozen import prefix_store
from clipft_cli.engine.frozen.prefix_plan import Keeping, Stage, plan_keeping, work_of
from clipft_cli.engine.frozen.prefix_store import HiddenKind, reserve
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train

N_TRAIN, N_VAL = (SIZES[split] * len(COLOURS) for split in ("train", "val"))
COMMON = {
    "training.num_epochs": 5,
    "training.learning_rate": 2e-3,
    "training.early_stopping.enabled": False,
    "training.soup.enabled": False,
    "training.progressive_unfreezing.enabled": True,
    "data.augmentation": "none",
    "model.head_start": "text",
}
HEAD_THEN_BLOCK = [{"epoch": 0, "layers": ["classifier"]}, {"epoch": 2, "layers": ["block.2"]}]
HEAD_THEN_TOP = [{"epoch": 0, "layers": ["classifier"]}, {"epoch": 2, "layers": ["top"]}]
SCHEDULE = "training.progressive_unfreezing.unfreeze_schedule"
RUNS = {
    "block": ("full", {SCHEDULE: HEAD_THEN_BLOCK}),
    "top": ("full", {SCHEDULE: HEAD_THEN_TOP, "training.gradient_accumulation_steps": 2}),
    "views": ("full", {SCHEDULE: HEAD_THEN_BLOCK, "data.augmentation": "strong", "cache.views": 2}),
    "balance": ("full", {SCHEDULE: HEAD_THEN_BLOCK, "data.class_balance": "sampler"}),
    "lora": ("lora", {SCHEDULE: HEAD_THEN_BLOCK, "lora.lora_dropout": 0.3}),
    "bf16": ("full", {SCHEDULE: HEAD_THEN_BLOCK, "hardware.mixed_precision": "bf16"}),
}


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Note):
            self.said.append(event.text)
        if isinstance(event, Plan):
            self.said += [value for label, value in event.facts if label == "frozen"]


@contextlib.contextmanager
def images_through_the_tower() -> Iterator[list[int]]:
    """Sizes of the batches of pixels that are made ready for the tower."""
    sizes: list[int] = []
    normalise = Preprocess.normalise

    def count(self: Preprocess, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return normalise(self, pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Preprocess, "normalise", count)
        yield sizes


def run(tiny: TinyWorld, method: str, path: Path, **settings) -> tuple[Path, list[str], int]:
    listener = Listener()
    with images_through_the_tower() as sizes:
        train(tiny.config(method, path, {**COMMON, **settings}), listener, is_rehearsed=True)
    return path, listener.said, sum(sizes)


def weights(path: Path) -> dict[str, torch.Tensor]:
    folder = find_checkpoint(path / "last")
    return {
        f"{file.name}/{name}": value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_the_cache_ends_as_the_run_without(tiny, tmp_path, name):
    method, settings = RUNS[name]
    kept, _, n_kept = run(tiny, method, tmp_path / "kept", **settings)
    anew, _, n_anew = run(tiny, method, tmp_path / "anew", **settings, **{"cache.enabled": False})
    # the products see other batches below the cut: the last bits may differ, and in bfloat16 there are few
    tolerance = {"rtol": 2e-2, "atol": 2e-3} if name == "bf16" else {"rtol": 1e-4, "atol": 1e-6}
    expected = weights(anew)
    for key, value in weights(kept).items():
        torch.testing.assert_close(value, expected[key], **tolerance, msg=lambda text, key=key: f"{key}: {text}")
    losses = [[line["train_loss"] for line in read_metrics(path) if line["epoch"]] for path in (kept, anew)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2 if name == "bf16" else 1e-5)
    assert n_kept < 0.6 * n_anew


def test_each_image_passes_the_frozen_part_once_a_stage(tiny, tmp_path):
    _, said, n_images = run(tiny, "full", tmp_path / "run", **{SCHEDULE: HEAD_THEN_BLOCK})
    assert n_images == N_VAL + 2 * (N_TRAIN + N_VAL)
    assert any(text.startswith("epochs 1 to 2: outputs of train and val are computed once") for text in said)
    # val is read in each of 3 epochs and for 5 mixes of start and end
    n_read = 3 * N_TRAIN + (3 + 5) * N_VAL
    n_filled = N_TRAIN + N_VAL
    (text,) = [text for text in said if text.startswith("frozen part, epochs 3 to 5: ")]
    assert f"computed for {n_filled} images" in text
    assert f"read for {n_read}; {n_read - n_filled} images x 2 blocks not computed again" in text


def test_random_augmentation_keeps_val_alone_and_says_why(tiny, tmp_path):
    settings = {SCHEDULE: [{"epoch": 0, "layers": ["classifier"]}], "data.augmentation": "standard"}
    _, said, n_images = run(tiny, "full", tmp_path / "run", **settings)
    assert n_images == N_VAL + 5 * N_TRAIN + N_VAL
    assert any("outputs of val" in text and "its augmentation is new in every epoch" in text for text in said)


def test_fixed_views_are_said_aloud(tiny, tmp_path):
    method, settings = RUNS["views"]
    _, said, _ = run(tiny, method, tmp_path / "run", **settings)
    assert any("2 fixed augmented views of each image take turns, which is another distribution" in t for t in said)


def test_a_tower_without_cuts_keeps_its_features(tiny, tmp_path):
    architecture, checkpoint = write_model(tmp_path, "timm-vit")
    world = TinyWorld(tmp_path, architecture, checkpoint, tiny.data)
    schedule = [{"epoch": 0, "layers": ["classifier"]}, {"epoch": 3, "layers": ["block.1"]}]
    _, said, n_images = run(world, "full", tmp_path / "run", **{SCHEDULE: schedule})
    assert any(text.startswith("epochs 1 to 3: outputs of train and val are computed once") for text in said)
    assert not any(text.startswith("epochs 4 to 5: outputs") for text in said)
    end = 2 * (N_TRAIN + N_VAL) + 5 * N_VAL
    assert n_images == N_VAL + N_TRAIN + N_VAL + end


def kept_of(stage: Stage, image_bytes: int, n_val_reads: int, *, is_augmented: bool = False, **cache) -> Keeping:
    """Of 100 training images and 10 of val."""
    return plan_keeping(
        CacheConfig(**cache),
        stage,
        100,
        10,
        is_augmented=is_augmented,
        image_bytes=image_bytes,
        n_val_reads=n_val_reads,
    )


@pytest.mark.parametrize(
    ("changes", "views", "keeps_val", "n_images"),
    [
        ({}, (0,), True, 110),
        ({"enabled": False}, (), False, 0),
        ({"max_gb": 105 / 1024}, (0,), False, 100),
        ({"max_gb": 50 / 1024}, (), True, 10),
        ({"max_gb": 0}, (), False, 0),
        ({"is_augmented": True}, (), True, 10),
        ({"is_augmented": True, "views": 2}, (0, 1), True, 210),
        ({"is_augmented": True, "views": 4}, (), True, 10),
        ({"is_augmented": True, "views": 4, "enabled": True}, (0, 2, 3, 1), True, 410),
    ],
)
def test_what_is_kept_of_a_stage(changes, views, keeps_val, n_images):
    keeping = kept_of(Stage(2, 6, 3), 2**20, 4, **changes)
    assert set(keeping.views) == set(views)
    assert keeping.keeps_val is keeps_val
    assert keeping.n_bytes == n_images * 2**20


def test_nothing_is_kept_where_nothing_is_frozen_or_all_is_read_once():
    assert kept_of(Stage(0, 4, 0), 1, 4).n_bytes == 0
    assert kept_of(Stage(0, 1, 3), 1, 1).n_bytes == 0
    assert kept_of(Stage(0, 1, 3), 1, 1, enabled=True).n_bytes == 110


def test_much_lies_in_a_file_that_nobody_has_to_remove(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "MEMORY_SHARE", 0.0)
    room = reserve(10, HiddenKind((3, 4), torch.bfloat16), tmp_path)
    room.fill_(2.0)
    assert room.shape == (10, 3, 4)
    assert float(room.sum()) == 240.0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "MEMORY_SHARE", 0.0)
    with pytest.raises(OSError) as error:
        reserve(2**45, HiddenKind((2**10,), torch.float32), tmp_path)
    assert error.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("views", "keeps_val", "work"),
    [
        # 4 epochs of 100 images, val of 10 read 6 times, three quarters of the tower frozen
        ((), False, 0.75 * (4 * 100 + 6 * 10) + 0.25 * (3 * 4 * 100 + 6 * 10)),
        ((0,), True, 0.75 * (100 + 10) + 0.25 * (3 * 4 * 100 + 6 * 10)),
        ((0, 1), False, 0.75 * (200 + 60) + 0.25 * (3 * 4 * 100 + 6 * 10)),
    ],
)
def test_the_forecast_counts_what_is_kept_once(views, keeps_val, work):
    assert work_of(Keeping(Stage(0, 4, 3), views, keeps_val, 0, 6), 4, 100, 10) == pytest.approx(work)
