"""The registry of augmentations: what is done to training images at random, as a function of the draws alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from ...config.data import AugmentationName, DataConfig
from .crops import Crops, ResizedCrops, SquareCrops, whole
from .draws import Draws
from .transforms import Preprocess

Step = Callable[[np.ndarray, Draws], np.ndarray]
"""(array, draws) -> array, both (H, W, 3) uint8; the array that comes in is left as it is."""


@dataclass(frozen=True)
class Augmentation:
    """Crops, and the steps that each crop goes through, in their order.

    `cheaper` names the one to try where the processor is too slow for it.
    """

    name: AugmentationName
    crops: Crops
    steps: tuple[Step, ...] = ()
    cheaper: AugmentationName | None = None

    @property
    def key(self) -> list[str]:
        """What decides the pixels, besides the draws; as JSON."""
        return [self.name, repr(self.crops), *(step.__qualname__ for step in self.steps)]

    def pixels(self, source: np.ndarray, preprocess: Preprocess, draws: Draws) -> np.ndarray:
        """(3, H, W) uint8 of what `crops.source` gave. Channels lie last in memory."""
        array = self.crops.cut(whole(source, preprocess, self.crops.source_px(preprocess.size)), preprocess, draws)
        for step in self.steps:
            array = step(array, draws)
        return array.transpose(2, 0, 1)


def none(data: DataConfig) -> None:
    """Training images are seen as val images are."""


def crop(data: DataConfig) -> Augmentation:
    """CLIP's own (Radford et al. 2021, section 2.4)."""
    return Augmentation("crop", SquareCrops(), _flips(data))


def standard(data: DataConfig) -> Augmentation:
    """Crops of random size and shape (Szegedy et al. 2015)."""
    return Augmentation("standard", ResizedCrops(data.crop_scale_min), _flips(data))


def strong(data: DataConfig) -> Augmentation:
    """Colours change too, and rectangles are erased."""
    steps = (jitter, *_flips(data), erase)
    return Augmentation("strong", ResizedCrops(data.crop_scale_min), steps, cheaper="standard")


AUGMENTATIONS: dict[AugmentationName, Callable[[DataConfig], Augmentation | None]] = {
    "none": none,
    "crop": crop,
    "standard": standard,
    "strong": strong,
}


def augmentation_of(data: DataConfig) -> Augmentation | None:
    """The one that is configured; None where training images are seen as val images are."""
    return AUGMENTATIONS[data.augmentation](data)


def flip(array: np.ndarray, draws: Draws) -> np.ndarray:
    """Half of the images are mirrored."""
    from .resample import mirrored

    return mirrored(array) if draws.random() < 0.5 else array


def _flips(data: DataConfig) -> tuple[Step, ...]:
    return (flip,) if data.horizontal_flip else ()


def jitter(array: np.ndarray, draws: Draws) -> np.ndarray:
    """Brightness, contrast and saturation, each by a random factor; a tenth of the images become grey."""
    image = Image.fromarray(array)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(draws.uniform(0.6, 1.4))
    return np.asarray(image.convert("L").convert("RGB") if draws.random() < 0.1 else image)


def erase(array: np.ndarray, draws: Draws) -> np.ndarray:
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
