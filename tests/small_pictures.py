"""Small real image files for the tests of images and of prepare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A coarse random picture: two of different seeds are never near duplicates."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save_picture(path: Path, seed: int, **options: object) -> Path:
    """Write picture `seed` to `path`, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


def class_folders(root: Path, n: int = 10, classes: tuple[str, ...] = ("cat", "dog"), start: int = 0) -> Path:
    """`n` pictures in each of some class folders, all different."""
    for k, name in enumerate(classes):
        for i in range(n):
            save_picture(root / name / f"{i}.jpg", start + 1000 * k + i)
    return root
