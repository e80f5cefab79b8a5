"""From a picture to the model's pixels, exactly as in training. Needs numpy, pillow and transformers."""

from typing import Any

import numpy as np
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
MAX_ASPECT = 16  # of a longer picture the middle is cut out before it is resized


class ClipftImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values"]  # noqa: RUF012

    def __init__(
        self,
        input_size: tuple[int, ...] = (224, 224),
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        interpolation: str = "bicubic",
        resize_mode: str = "shortest",
        fill_color: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_size, self.mean, self.std = list(input_size), list(mean), list(std)
        self.interpolation, self.resize_mode, self.fill_color = interpolation, resize_mode, fill_color

    def preprocess(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """One picture or a list: PIL images, or arrays and tensors (H, W, 3) or (3, H, W) of 0..255."""
        pictures = list(images) if isinstance(images, (list, tuple)) else [images]
        pixels = np.stack([np.asarray(self._resized(_picture(one)), dtype=np.float32) for one in pictures])
        std, mean = np.array(self.std, dtype=np.float32), np.array(self.mean, dtype=np.float32)
        pixels = pixels * (1 / (255 * std)) - mean / std
        return BatchFeature({"pixel_values": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))}, return_tensors)

    def _resized(self, image: Image.Image) -> Image.Image:
        height, width = self.input_size
        kind = FILTERS[self.interpolation]
        if self.resize_mode == "squash":
            return image.resize((width, height), kind)
        is_longest = self.resize_mode == "longest"
        if not is_longest and max(image.size) > MAX_ASPECT * min(image.size):
            ratio = min(image.width / width, image.height / height)
            left, top = (image.width - width * ratio) / 2, (image.height - height * ratio) / 2
            right, bottom = min(image.width, left + width * ratio), min(image.height, top + height * ratio)
            return image.resize((width, height), kind, box=(max(0.0, left), max(0.0, top), right, bottom))
        if not is_longest and height == width:
            short, long = sorted(image.size)
            if short != height:
                new = height, int(height * long / short)
                image = image.resize(new if image.width <= image.height else new[::-1], kind)
            return _crop_or_pad(image, height, width, 0)
        ratios = image.height / height, image.width / width
        ratio = max(ratios) if is_longest else min(ratios)
        new = max(1, round(image.width / ratio)), max(1, round(image.height / ratio))
        image = image.resize(new, kind if is_longest else Image.Resampling.BICUBIC)
        return _crop_or_pad(image, height, width, self.fill_color if is_longest else 0)


def _crop_or_pad(image: Image.Image, height: int, width: int, fill: int) -> Image.Image:
    if image.width < width or image.height < height:
        canvas = Image.new("RGB", (max(image.width, width), max(image.height, height)), (fill,) * 3)
        canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
        image = canvas
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))


def _picture(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.shape[2] != 3:
        pixels = pixels.transpose(1, 2, 0)
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
