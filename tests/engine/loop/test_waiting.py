"""What is said where training waits for its images: what would help here, and nothing that would not."""

from __future__ import annotations

import pytest
from tiny_world import augmented

from clipft_cli.engine.events import EpochDone, Note
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.loop import fit
from clipft_cli.engine.loop.waiting import waiting_advice
from clipft_cli.engine.machine.hardware import worker_count
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.train import train


@pytest.fixture
def images(tiny) -> ImageDataset:
    manifest = read_manifest(tiny.data)
    preprocess = Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3)
    return ImageDataset(manifest, manifest.split("train"), preprocess, augmentation=augmented("standard", 0.5, True))


def test_it_names_what_would_help(images):
    n_cores = worker_count("auto")
    assert waiting_advice(0.257, 0, images) == (
        f"26% of the training time was spent waiting for images: data.num_workers: {n_cores} (now 0) or a larger"
        " data.image_cache_gb (0% of the images are kept decoded) or smaller image files would help"
    )
    assert "num_workers" not in waiting_advice(0.257, n_cores, images)


def test_nothing_is_proposed_that_is_so_already(images):
    images.limit_bytes = images._memory_left = 2**30
    for index in range(len(images)):
        images.train_pixels(index, 0)
    advice = waiting_advice(0.2, worker_count("auto"), images)
    assert advice.endswith("images: more cores, or a faster disk under the user's cache folder would help")


def test_it_is_said_once_and_not_of_the_first_epoch(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "WAIT_LIMIT", -1.0)
    events: list[object] = []
    train(tiny.config("full", tmp_path / "run", {"training.num_epochs": 4}), events.append)
    told = [i for i, event in enumerate(events) if isinstance(event, Note) and "waiting for images" in event.text]
    epochs = [event.record.epoch for event in events[: told[0]] if isinstance(event, EpochDone)]
    assert len(told) == 1
    assert epochs[-1] == 1
