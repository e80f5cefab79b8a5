"""Where the squares that a model is trained on are cut from, and how: at random, by the draws alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .decode import decode_reduced
from .draws import Draws
from .transforms import MAX_ASPECT, Preprocess

CROP_MARGIN = 8 / 7
"""How much larger than the model's an image is from which squares are cut: 256 pixels for 224."""

_LOG_ASPECT = math.log(4 / 3)


class Crops(Protocol):
    """One way of cutting. What `source` gives is kept between epochs, and each epoch's crop is cut from it."""

    @property
    def kept_as(self) -> str:
        """Name of what `source` gives: what is kept under one name and one `source_px` is the same for all."""

    @property
    def source_area(self) -> float:
        """About how many pixels `source` gives for each of the square of `source_px`, for a photograph of 1 by 1."""

    def source_px(self, size: tuple[int, int]) -> int:
        """Shorter side that a decoded image keeps at least, for a model that takes (height, width) pixels."""

    def source(self, content: bytes, size: tuple[int, int]) -> np.ndarray:
        """(h, w, 3) uint8 that crops are taken from, of the content of an image file. Raises ImageError."""

    def cut(self, source: np.ndarray, preprocess: Preprocess, draws: Draws) -> np.ndarray:
        """(H, W, 3) uint8 of what `source` gave."""


@dataclass(frozen=True)
class ResizedCrops:
    """Rectangles of random size and shape, resized to the model's pixels; `scale_min`: the least share of the area."""

    scale_min: float
    kept_as = "resized crops"
    source_area = 2.16
    """Decoded, the shorter side lies between once and twice what is needed, evenly on a logarithmic scale."""

    def source_px(self, size: tuple[int, int]) -> int:
        """So that the smallest crop has the model's pixels."""
        return min(2 * min(size), math.ceil(min(size) / math.sqrt(self.scale_min)))

    def source(self, content: bytes, size: tuple[int, int]) -> np.ndarray:
        """The image, reduced while it is decoded."""
        return decode_reduced(content, self.source_px(size))

    def cut(self, source: np.ndarray, preprocess: Preprocess, draws: Draws) -> np.ndarray:
        """A random rectangle, resized."""
        from .resample import resized_crop

        box = _random_box((source.shape[1], source.shape[0]), self.scale_min, draws)
        return resized_crop(source, box, preprocess.size, preprocess.interpolation)


@dataclass(frozen=True)
class SquareCrops:
    """CLIP's own: the model's pixels cut from an image that is resized once to a little more, and not resampled."""

    kept_as = "crop"
    source_area = 1.0

    def source_px(self, size: tuple[int, int]) -> int:
        """The model's larger side and the margin."""
        return math.ceil(CROP_MARGIN * max(size))

    def source(self, content: bytes, size: tuple[int, int]) -> np.ndarray:
        """The image, resized."""
        from .resample import resized_crop

        array = decode_reduced(content, self.source_px(size))
        height, width = array.shape[:2]
        longest = MAX_ASPECT * min(height, width)
        if max(height, width) > longest:  # resized, the whole would not fit into memory
            top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
            array = array[top : top + longest, left : left + longest]
            height, width = array.shape[:2]
        scale = CROP_MARGIN * max(size[0] / height, size[1] / width)
        new = max(size[0], round(scale * height)), max(size[1], round(scale * width))
        return resized_crop(array, (0, 0, width, height), new, "bicubic")

    def cut(self, source: np.ndarray, preprocess: Preprocess, draws: Draws) -> np.ndarray:
        """A random place."""
        height, width = preprocess.size
        top, left = draws.below(source.shape[0] - height + 1), draws.below(source.shape[1] - width + 1)
        return source[top : top + height, left : left + width]


def whole(source: np.ndarray, preprocess: Preprocess, short_px: int) -> np.ndarray:
    """(h, w, 3) uint8 of the model's shape, its shorter side `short_px`, with all of the image in it: what is cropped
    where nothing may be lost to the shape. As it is where the middle is cut out anyway, or the shape fits.
    """
    from .resample import resized_crop

    height, width = source.shape[:2]
    scale = short_px / min(preprocess.size)
    canvas = round(scale * preprocess.size[0]), round(scale * preprocess.size[1])
    if preprocess.resize_mode == "shortest" or abs(math.log(width * canvas[0] / (height * canvas[1]))) < 0.01:
        return source
    full = (0, 0, width, height)
    if preprocess.resize_mode == "squash":
        return resized_crop(source, full, canvas, preprocess.interpolation)
    ratio = min(canvas[0] / height, canvas[1] / width)
    h, w = max(1, round(ratio * height)), max(1, round(ratio * width))
    padded = np.full((*canvas, 3), preprocess.fill_color, dtype=np.uint8)
    top, left = (canvas[0] - h) // 2, (canvas[1] - w) // 2
    padded[top : top + h, left : left + w] = resized_crop(source, full, (h, w), preprocess.interpolation)
    return padded


def _random_box(size: tuple[int, int], scale_min: float, draws: Draws) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a random crop: area share in [scale_min, 1], aspect ratio in [3/4, 4/3].

    Source: Szegedy et al. 2015, section 6 (as in torchvision's RandomResizedCrop).
    """
    width, height = size
    for _ in range(10):
        area = width * height * draws.uniform(scale_min, 1.0)
        ratio = math.exp(draws.uniform(-_LOG_ASPECT, _LOG_ASPECT))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = draws.below(width - w + 1), draws.below(height - h + 1)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
