"""From a decoded image to the model's pixels: the transform that the model was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...config.data import ResizeName
from ...errors import ModelError

if TYPE_CHECKING:
    import torch

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
RESIZE_MODES: dict[ResizeName, str] = {"crop": "shortest", "pad": "longest", "squash": "squash"}
"""`data.resize` -> open_clip's name of it; `auto` is whichever the model has."""

MAX_ASPECT = 16
"""Long side over short side up to which an image is resized whole, as open_clip does, before its middle is cut out."""

MAX_PX = 4096
"""Largest side of a model's input, far above any published model's."""


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
        if interpolation not in _FILTERS or resize_mode not in RESIZE_MODES.values():
            raise ModelError(f"preprocessing '{interpolation}', '{resize_mode}' is not supported")
        height, width = (size, size) if isinstance(size, int) else size
        mean, std = _triple(config["mean"]), _triple(config["std"])
        fits = all(isinstance(side, int) and 0 < side <= MAX_PX for side in (height, width))
        if not (fits and all(abs(value) <= 10 for value in mean) and all(1e-4 <= value <= 10 for value in std)):
            raise ModelError(f"preprocessing to {width} x {height} pixels, mean {mean}, std {std} is none for images")
        return cls(
            (int(height), int(width)),
            mean,
            std,
            interpolation,
            resize_mode,
            int(config.get("fill_color", 0)),
        )

    def resizing(self, how: ResizeName) -> Preprocess:
        """The same with another way of making an image square."""
        return self if how == "auto" else replace(self, resize_mode=RESIZE_MODES[how])

    def lost_share(self, width: int, height: int) -> float:
        """Share of an image of this size that is cut off, 0 to 1."""
        if self.resize_mode != "shortest":
            return 0.0
        aspect = (width / height) / (self.size[1] / self.size[0])
        return 1 - min(aspect, 1 / aspect)

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
        if self.resize_mode == "shortest" and max(image.size) > MAX_ASPECT * min(image.size):
            return self._middle(image)
        if self.resize_mode == "shortest" and height == width:
            return _crop_or_pad(self._shortest_edge(image, height), self.size, 0)
        is_longest = self.resize_mode == "longest"
        ratios = image.height / height, image.width / width
        ratio = max(ratios) if is_longest else min(ratios)
        new = max(1, round(image.width / ratio)), max(1, round(image.height / ratio))
        # open_clip resizes a non-square "shortest" with bicubic whatever the config says
        kind = _FILTERS[self.interpolation] if is_longest else Image.Resampling.BICUBIC
        return _crop_or_pad(image.resize(new, kind), self.size, self.fill_color if is_longest else 0)

    def _middle(self, image: Image.Image) -> Image.Image:
        """The part of a very long image that is kept, resized alone: whole, 2 x 60,000 would become gigabytes."""
        height, width = self.size
        ratio = min(image.width / width, image.height / height)
        left, top = (image.width - width * ratio) / 2, (image.height - height * ratio) / 2
        box = (
            max(0.0, left),
            max(0.0, top),
            min(image.width, left + width * ratio),
            min(image.height, top + height * ratio),
        )
        return image.resize((width, height), _FILTERS[self.interpolation], box=box)

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


def _triple(values: Any) -> tuple[float, float, float]:
    """Raises TypeError or ValueError where these are not three numbers."""
    red, green, blue = values
    if any(isinstance(value, bool | str) for value in (red, green, blue)):
        raise TypeError("the mean and the standard deviation are three numbers each")
    return float(red), float(green), float(blue)


def _crop_or_pad(image: Image.Image, size: tuple[int, int], fill: int) -> Image.Image:
    height, width = size
    if image.width < width or image.height < height:
        canvas = Image.new("RGB", (max(image.width, width), max(image.height, height)), (fill,) * 3)
        canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
        image = canvas
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))
