"""What the shape of the images costs: how much of them the model never sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from ...errors import DataError
from .decode import ImageError, read_image_bytes, size_of
from .transforms import Preprocess

N_LOOKED_AT = 200
MUCH = 0.35
"""Share of an image that is told of: 3:2, the shape of most photographs, loses a third."""


def what_is_cut_off(files: Sequence[Path], preprocess: Preprocess) -> str | None:
    """A sentence where the model's square leaves out much of the median image; of some, evenly spread over all."""
    spread = np.linspace(0, len(files) - 1, min(N_LOOKED_AT, len(files))).round().astype(int)
    sizes = [size for size in (_size_of(files[i]) for i in spread) if size is not None]
    if not sizes:
        return None
    lost = median(preprocess.lost_share(*size) for size in sizes)
    if lost <= MUCH:
        return None
    width, height = sorted(sizes, key=lambda size: size[0] / size[1])[len(sizes) // 2]
    return (
        f"the images are not square (the middle one is {width} x {height}): the model sees the middle of each, and"
        f" {lost:.0%} of the median image is cropped away. `--set data.resize=pad` or `--set data.resize=squash` keeps"
        " all of it; `--set data.resize=crop` is this, without the warning"
    )


def _size_of(file: Path) -> tuple[int, int] | None:
    """Width and height as the image is seen, from its header; None where it has none."""
    try:
        return size_of(read_image_bytes(file))
    except (ImageError, DataError):  # told of where it is decoded
        return None
