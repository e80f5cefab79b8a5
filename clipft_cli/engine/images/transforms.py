"""From a decoded image to the model's pixels: the model's own transform, and random ones for training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance

from ...config.data import AugmentationName
from ...errors import ModelError
from .decode import decode_reduced
from .draws import Draws

if TYPE_CHECKING:
    import torch

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
_RESIZE_MODES = ("shortest", "longest", "squash")
_LOG_ASPECT = math.log(4 / 3)

MAX_PX = 4096
"""Largest side of a model's input, far above any published model's."""

CROP_MARGIN = 8 / 7
"""How much larger than the model's an image is from which squares are cut: 256 pixels for 224."""


@dataclass(frozen=True)
class Preprocess:
    """The transform a model was trained with; equal to open_clip's validation transform.

    `size` is (height, width) in pixels; `mean` and `std` are of RGB in 0..1.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocess:
        """From open_clip's preprocess config. Raises ModelError where a value is not one that is built here."""
        size = config["size"]
        interpolation = config.get("interpolation", "bicubic")
        resize_mode = config.get("resize_mode", "shortest")
        if interpolation not in _FILTERS or resize_mode not in _RESIZE_MODES:
            raise ModelError(f"preprocessing '{interpolation}', '{resize_mode}' is not supported")
        height, width = (size, size) if isinstance(size, int) else size
        mean, std = _triple(config["mean"]), _triple(config["std"])
        if not (0 < height <= MAX_PX and 0 < width <= MAX_PX and min(std) > 0 and math.isfinite(sum(mean + std))):
            raise ModelError(f"preprocessing to {width} x {height} pixels, mean {mean}, std {std} is none for images")
        return cls(
            (int(height), int(width)),
            mean,
            std,
            interpolation,
            resize_mode,
            int(config.get("fill_color", 0)),
        )

    def to_json(self) -> dict[str, Any]:
        """What `from_config` reads back, in open_clip's own key names."""
        return {**asdict(self), "mode": "RGB"}

    def pixels(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) uint8 of an RGB image: resized and cropped, not normalised. Channels lie last in memory."""
        return np.asarray(self._resized(image)).transpose(2, 0, 1)

    def _resized(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        if self.resize_mode == "squash":
            return image.resize((width, height), _FILTERS[self.interpolation])
        if self.resize_mode == "shortest" and height == width:
            return _crop_or_pad(self._shortest_edge(image, height), self.size, 0)
        is_longest = self.resize_mode == "longest"
        ratios = image.height / height, image.width / width
        ratio = max(ratios) if is_longest else min(ratios)
        new = round(image.width / ratio), round(image.height / ratio)
        # open_clip resizes a non-square "shortest" with bicubic whatever the config says
        kind = _FILTERS[self.interpolation] if is_longest else Image.Resampling.BICUBIC
        return _crop_or_pad(image.resize(new, kind), self.size, self.fill_color if is_longest else 0)

    def _shortest_edge(self, image: Image.Image, edge: int) -> Image.Image:
        short, long = sorted(image.size)
        if short == edge:
            return image
        long = int(edge * long / short)
        new = (edge, long) if image.width <= image.height else (long, edge)
        return image.resize(new, _FILTERS[self.interpolation])

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) uint8 to contiguous float32 of the same shape, on the device where it lies."""
        import torch

        mean = torch.tensor(self.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, 3, 1, 1)
        images = pixels.to(torch.float32, memory_format=torch.contiguous_format)
        return images.mul_(1 / (255 * std)).sub_(mean / std)


@dataclass(frozen=True)
class Augmentation:
    """Random training transforms; the outcome is a function of the draws alone."""

    name: AugmentationName
    crop_scale_min: float
    horizontal_flip: bool

    def source_px(self, size: tuple[int, int]) -> int:
        """Shorter side that decoded images keep at least, so that the smallest crop has the model's pixels."""
        if self.name == "crop":
            return math.ceil(CROP_MARGIN * max(size))
        return min(2 * min(size), math.ceil(min(size) / math.sqrt(self.crop_scale_min)))

    def source(self, content: bytes, size: tuple[int, int]) -> np.ndarray:
        """(h, w, 3) uint8 that crops are taken from, of the content of an image file. Raises ImageError."""
        array = decode_reduced(content, self.source_px(size))
        if self.name != "crop":
            return array
        from .resample import resized_crop

        height, width = array.shape[:2]
        scale = CROP_MARGIN * max(size[0] / height, size[1] / width)
        new = max(size[0], round(scale * height)), max(size[1], round(scale * width))
        return resized_crop(array, (0, 0, width, height), new, "bicubic")

    def pixels(self, source: np.ndarray, preprocess: Preprocess, draws: Draws) -> np.ndarray:
        """(3, H, W) uint8 of what `source` gave, after the random transforms. Channels lie last in memory."""
        from .resample import mirrored, resized_crop

        height, width = preprocess.size
        if self.name == "crop":
            top, left = draws.below(source.shape[0] - height + 1), draws.below(source.shape[1] - width + 1)
            array = source[top : top + height, left : left + width]  # (H, W, 3)
        else:
            box = _random_box((source.shape[1], source.shape[0]), self.crop_scale_min, draws)
            array = resized_crop(source, box, preprocess.size, preprocess.interpolation)
        if self.name == "strong":
            array = np.asarray(_jitter(Image.fromarray(array), draws))
        if self.horizontal_flip and draws.random() < 0.5:
            array = mirrored(array)
        if self.name == "strong":
            array = _erase(array, draws)
        return array.transpose(2, 0, 1)


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _crop_or_pad(image: Image.Image, size: tuple[int, int], fill: int) -> Image.Image:
    height, width = size
    if image.width < width or image.height < height:
        canvas = Image.new("RGB", (max(image.width, width), max(image.height, height)), (fill,) * 3)
        canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
        image = canvas
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))


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


def _jitter(image: Image.Image, draws: Draws) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(draws.uniform(0.6, 1.4))
    return image.convert("L").convert("RGB") if draws.random() < 0.1 else image


def _erase(array: np.ndarray, draws: Draws) -> np.ndarray:
    """A random rectangle of 2 to 20% of the area becomes grey, in a quarter of the images (Zhong et al. 2017)."""
    if draws.random() >= 0.25:
        return array
    height, width = array.shape[:2]
    share, ratio = draws.uniform(0.02, 0.2), math.exp(draws.uniform(math.log(0.3), math.log(3.3)))
    h = min(height, max(1, int(math.sqrt(share * height * width / ratio))))
    w = min(width, max(1, int(math.sqrt(share * height * width * ratio))))
    top, left = draws.below(height - h + 1), draws.below(width - w + 1)
    array = array.copy()
    array[top : top + h, left : left + w] = 127
    return array
