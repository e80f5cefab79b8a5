"""Image files to training tensors, on one core: the engine's data path, and open_clip's training transform."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from clipft_cli.config.data import DataConfig
from clipft_cli.engine.files.write import whole_file
from clipft_cli.engine.images.augmentations import augmentation_of
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.loader import Loader, in_batches
from clipft_cli.engine.images.pixel_pack import PackWriter, PixelPack, pack_key
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.manifest import Manifest, read_manifest
from clipft_cli.engine.model.vit import tune_allocator

from .work import Task, Work
from .world import model_config

CROP_SCALE_MIN = 0.9
"""open_clip's default; its crops are of 0.9 to 1 of the area."""


def own(task: Task) -> Work:
    """A batch through the engine's data set and loader, normalised: decoded anew, or from a pack of decoded images."""
    torch.set_num_threads(1)
    tune_allocator()  # as every run on a CPU does
    manifest = read_manifest(task.world.root / task.options["folder"])
    preprocess = preprocess_of(task)
    name = task.options["augmentation"]
    augmentation = augmentation_of(DataConfig(augmentation=name, crop_scale_min=CROP_SCALE_MIN, horizontal_flip=False))
    dataset = ImageDataset(manifest, manifest.split("train"), preprocess, augmentation=augmentation, cache_gb=0)
    if task.options["packed"]:
        dataset.read_from(_pack(dataset, task.world.root / f"{name}.pixels"))
    loader = Loader(0)
    epoch = iter(range(10**9))

    def batch() -> torch.Tensor:
        now = next(epoch)
        order = in_batches(np.arange(min(task.batch_size, len(dataset))), task.batch_size)
        batches = loader.batches(
            order, lambda index: dataset.train_pixels(index, now), dataset.labels, torch.device("cpu")
        )
        return preprocess.normalise(next(batches).pixels)

    return _work(batch, manifest, task)


def open_clip(task: Task) -> Work:
    """The same with Pillow and open_clip's training transform."""
    from open_clip import image_transform
    from PIL import Image

    torch.set_num_threads(1)
    manifest = read_manifest(task.world.root / task.options["folder"])
    transform = image_transform(preprocess_of(task).size[0], is_train=True)
    files = [manifest.file(row) for row in manifest.split("train")][: task.batch_size]

    def one(path: Path) -> torch.Tensor:
        with Image.open(path) as image:
            return transform(image.convert("RGB"))

    return _work(lambda: torch.stack([one(path) for path in files]), manifest, task)


def preprocess_of(task: Task) -> Preprocess:
    """The transform of the task's model."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    size = model_config(task.world)["vision_cfg"]["image_size"]
    return Preprocess.from_config({"size": size, "mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD})


def _pack(dataset: ImageDataset, path: Path) -> PixelPack:
    """The images decoded once into a memory-mapped file, as a run keeps those of a large data set."""
    key = pack_key(dataset.kept_as, [row.sha256 for row in dataset.rows])
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        writer = PackWriter(file, key, len(dataset), 2**33)
        for index in range(len(dataset)):
            writer.add(index, dataset.decoded(index), os.stat(dataset.manifest.file(dataset.rows[index])))
        writer.finish(False)
    return PixelPack(path, key, len(dataset), print)


def _work(batch: object, manifest: Manifest, task: Task) -> Work:
    first = batch()  # type: ignore[operator]
    rows = manifest.split("train")[: task.batch_size]
    files = hashlib.sha256("".join(row.sha256 for row in rows).encode()).hexdigest()[:16]
    facts = {"files": files, "shape": str(tuple(first.shape)), "dtype": str(first.dtype)}
    return Work(run=lambda: _discard(batch()), facts=facts, units=len(first))  # type: ignore[operator]


def _discard(_: object) -> None:
    return None
