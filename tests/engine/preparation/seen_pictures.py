"""Pictures of real files, as prepare sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from clipft_cli.config.data import SplitName
from clipft_cli.engine.preparation.checks import Picture, look_at
from clipft_cli.engine.sources.listing import Item


def seen(
    tmp_path: Path, name: str, image: Image.Image, label: str = "cat", split: SplitName | None = None, **options: object
) -> Picture:
    image.save(tmp_path / name, **options)
    found = look_at(Item(tmp_path / name, name, label, split))
    assert isinstance(found, Picture)
    return found


def photo() -> Image.Image:
    """A picture of many shades that looks different in each of the eight turnings."""
    y, x = np.mgrid[0:240, 0:320]
    base = np.stack([x * 0.7, y, 255 - x * 0.6], -1) + 40 * np.sin(x / 20 + y / 33)[..., None]
    return Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))


def part(seed: int, *, is_scratched: bool = False) -> Image.Image:
    """One part under a fixed camera: noise and light differ, and maybe there is a scratch."""
    rng = np.random.default_rng(seed)
    coarse = np.random.default_rng(7).integers(60, 200, (8, 8, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)).astype(float)
    pixels = pixels + rng.normal(0, 4, pixels.shape) + rng.uniform(-5, 5)
    if is_scratched:
        row, column = rng.integers(12, 48, 2)
        pixels[row : row + 2, column : column + 12] = 20
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
