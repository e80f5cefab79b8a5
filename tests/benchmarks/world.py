"""What every side of a row works on: one file of random weights, drawn photographs, their pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

N_CLASSES = 10
PHOTOS = {"photographs": (256, (500, 375)), "large": (16, (1600, 1200))}
TINY = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 32, "layers": 5, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
MODELS = ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu", "tiny")


@dataclass(frozen=True)
class World:
    """Files on disk. `batch` holds the training images, uint8 `pixels` (N, 3, S, S) and int64 `labels` (N,); `head`
    its (C, D) vectors."""

    root: Path
    model: str

    @property
    def name(self) -> str:
        """What the engine calls the architecture."""
        return str(self.root / "tiny.json") if self.model == "tiny" else self.model

    @property
    def weights(self) -> Path:
        return self.root / f"{self.model}.safetensors"

    @property
    def head(self) -> Path:
        return self.root / f"{self.model}-head.safetensors"

    @property
    def batch(self) -> Path:
        return self.root / f"{self.model}-batch.safetensors"

    @property
    def data(self) -> Path:
        return self.root / "photographs"

    @property
    def large(self) -> Path:
        return self.root / "large"


def build_world(root: Path, model: str, photos: Mapping[str, tuple[int, tuple[int, int]]] = PHOTOS) -> World:
    """Everything the rows need, made once; the batch is read anew, since the decoder may have changed.

    `photos`: training images and their width and height in pixels, for each folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    world = World(root, model)
    for folder, (n, size) in photos.items():
        if not (root / folder / "dataset.json").is_file():
            _write_photographs(root / folder, {"train": n, "val": n // 4, "test": n // 4}, size)
    _write_model(world)
    _write_batch(world)
    return world


def model_config(world: World) -> dict[str, Any]:
    """open_clip's own; the tiny one is registered with it."""
    import open_clip

    if world.model == "tiny":
        open_clip.add_model_config(world.root / "tiny.json")
    config: dict[str, Any] = open_clip.get_model_config(world.model)
    return config


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Coloured noise whose amplitude falls with frequency to the power 1.4: as a JPEG of quality 75 it takes 0.2 bytes
    a pixel, which is what photographs take, and decoding costs what it costs for them.

    Source of the form: Field 1987 (amplitude spectra of natural scenes).
    """
    width, height = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    amplitude = np.maximum(frequency, 1 / max(size)) ** -1.4
    planes = []
    for _ in range(3):
        phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
        plane = np.fft.irfft2(amplitude * phase, s=(height, width))
        planes.append((plane - plane.mean()) / plane.std())
    grey = planes[0]
    colour = np.stack([grey + 0.3 * plane for plane in planes], axis=-1)  # (H, W, 3)
    return Image.fromarray((118 + 55 * colour).clip(0, 255).astype(np.uint8))


def _write_photographs(root: Path, sizes: dict[str, int], pixels: tuple[int, int]) -> None:
    from clipft_cli.engine.labels.class_names import ClassInfo
    from clipft_cli.engine.manifest import Manifest, Origin, Row, digest_of, sorted_rows, write_manifest

    rng = np.random.default_rng(0)
    classes = [ClassInfo(f"class{i}", f"class number {i}") for i in range(N_CLASSES)]
    rows = []
    for split, n in sizes.items():
        for i in range(n):
            label = i % N_CLASSES
            path = root / split / f"class{label}" / f"{i:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photograph(rng, pixels).save(path, quality=75)
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            rows.append(Row(path.relative_to(root).as_posix(), label, split, digest, len(content)))  # type: ignore[arg-type]
    digest = digest_of(classes, rows)
    write_manifest(Manifest(root, root.name, tuple(classes), sorted_rows(rows), digest, Origin(source="drawn")))


def _write_model(world: World) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    if world.model == "tiny":
        (world.root / "tiny.json").write_text(json.dumps(TINY))
    model_config(world)
    if world.weights.is_file() and world.head.is_file():
        return
    torch.manual_seed(0)
    model = open_clip.create_model(world.model)
    size: Any = model.visual.output_dim
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, world.weights)
    weight = torch.nn.functional.normalize(torch.randn(N_CLASSES, size), dim=-1)
    save_file({"weight": weight, "scale": model.logit_scale.detach().exp()}, world.head)


def _write_batch(world: World) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    from clipft_cli.engine.images.dataset import ImageDataset
    from clipft_cli.engine.images.transforms import Preprocess
    from clipft_cli.engine.manifest import read_manifest

    size = model_config(world)["vision_cfg"]["image_size"]
    preprocess = Preprocess.from_config(
        {"size": size, "mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    )
    manifest = read_manifest(world.data)
    dataset = ImageDataset(manifest, manifest.split("train"), preprocess)
    pixels = np.stack([dataset.eval_pixels(i) for i in range(len(dataset))])
    labels = torch.from_numpy(dataset.labels.copy())
    save_file({"pixels": torch.from_numpy(pixels).contiguous(), "labels": labels}, world.batch)
