"""A prepared split in memory, so that peers are compared by their recipes and not by their loaders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from clipft_cli.config.data import SplitName
from clipft_cli.engine.images.decode import decode_image
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.manifest import read_manifest

SOURCE_PX = 448
"""Shorter side kept of a training image: twice what the tower sees."""


@dataclass(frozen=True)
class EvalImages:
    """`pixels` (N, 3, S, S) uint8 under the model's own transform, `labels` (N,)."""

    pixels: Tensor
    labels: Tensor
    preprocess: Preprocess

    @torch.inference_mode()
    def logits(self, model: nn.Module) -> Tensor:
        """(N, C) float32 of a classifier, in bf16."""
        was_training = model.training
        model.eval()
        outputs = []
        for start in range(0, len(self.pixels), 64):
            images = self.preprocess.normalise(self.pixels[start : start + 64])
            with torch.autocast("cpu", torch.bfloat16):
                answer: Any = model(images)
            outputs.append((answer if isinstance(answer, Tensor) else answer.logits).float())
        model.train(was_training)
        return torch.cat(outputs)


def eval_images(data_dir: Path, split: SplitName, preprocess: Preprocess) -> EvalImages:
    """One split as the model's own transform gives it."""
    images, labels = pil_images(data_dir, split)
    pixels = torch.from_numpy(np.stack([preprocess.pixels(image) for image in images]))
    return EvalImages(pixels, torch.tensor(labels), preprocess)


def pil_images(data_dir: Path, split: SplitName, shorter_px: int | None = None) -> tuple[list[Image.Image], list[int]]:
    """Decoded images of a split and their labels, in manifest order."""
    manifest = read_manifest(data_dir)
    rows = manifest.split(split)
    images = [decode_image(manifest.file(row).read_bytes()) for row in rows]
    if shorter_px is not None:
        images = [_shrunk(image, shorter_px) for image in images]
    return images, [row.label for row in rows]


def _shrunk(image: Image.Image, shorter_px: int) -> Image.Image:
    ratio = shorter_px / min(image.size)
    return image if ratio >= 1 else ImageOps.scale(image, ratio, Image.Resampling.BICUBIC)


class Augmented(torch.utils.data.Dataset):
    """Training images under a peer's own transform, as Hugging Face's Trainer and timm's loop take them."""

    def __init__(self, images: list[Image.Image], labels: list[int], transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixel_values": self.transform(self.images[index]), "labels": self.labels[index]}
