"""Images decoded before their turn, in order, while the model works on those before them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..machine.ahead import Ahead
from .decode import ImageError, decode_image
from .inputs import ImageInput
from .transforms import Preprocess

DECODED = tuple[ImageInput, np.ndarray | str]
"""An image with its pixels (3, H, W) uint8, or with the reason why it has none."""


def decoded_ahead(
    found: Iterable[ImageInput], preprocess: Preprocess, pool: ThreadPoolExecutor, n_ahead: int
) -> Ahead[DECODED]:
    """Inputs with their pixels, in order; from now on at most `n_ahead` of them are decoded before their turn."""
    return Ahead(pool, lambda item: (item, _pixels(item, preprocess)), found, n_ahead)


def _pixels(item: ImageInput, preprocess: Preprocess) -> np.ndarray | str:
    if item.problem is not None:
        return item.problem
    try:
        return preprocess.pixels(decode_image(Path(item.name)) if item.picture is None else item.picture)
    except ImageError as error:
        return error.text
