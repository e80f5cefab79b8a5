"""What the samples of an image file stand for: 8-bit RGB of any mode, depth and transparency."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import Image

BACKGROUND = (255, 255, 255)
_BIT_DEPTHS = {255.0: 8, 1023.0: 10, 4095.0: 12, 16383.0: 14, 65535.0: 16}
"""The largest sample of each usual depth, in order."""
_WIDE_COLOURS = re.compile(r"RGB[AX]?;16[BLN]")
_STRIP_SAMPLES = 1 << 20
NEARLY_BLACK, NEARLY_WHITE = 16, 240
"""A picture all of whose levels (of 255) are darker, or lighter, shows next to nothing."""


def as_rgb(image: Image.Image) -> Image.Image:
    """A new RGB image of `image`'s first frame, transparency on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide_samples(image)
    if image.has_transparency_data:
        return _on_background(image.convert("RGBA"))
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _on_background(image: Image.Image) -> Image.Image:
    """RGB of an RGBA image on white; on black where white would leave nothing to see, as of a white drawing."""
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image).convert("RGB")
    alpha = np.asarray(image.getchannel("A"))
    if np.asarray(on_white.convert("L")).min() < NEARLY_WHITE or alpha.min() == alpha.max():
        return on_white
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")


def load(data: bytes, image: Image.Image) -> Image.Image:
    """`image` with its pixels decoded.

    Pillow keeps the high bytes of 16-bit colours. Where these are of 14 bits or fewer and so next to black, the
    low bytes are read too, and the usual range that holds the samples is scaled to 8 bits, as of grey images.
    """
    samples = _dark_colours(data, image)
    if samples is None:
        return image
    levels = np.array(image)
    levels[..., :3] = (samples * np.float32(255.0 / _usual_top(float(samples.max())))).round()
    return Image.fromarray(levels)


def bits_used(data: bytes, image: Image.Image) -> int | None:
    """Bits of the usual range that holds the samples, 8 to 16; 0 where they have a range of their own.

    None of an image that stores eight bits or says its range itself. Decodes `image`, opened from `data`.
    """
    if image.mode.startswith("I") or image.mode == "F":
        samples = np.asarray(image)
        finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0) if image.mode == "F" else samples
        low, high = _sample_range(image, float(finite.min()), float(finite.max()))
        if image.format == "PPM" or (low, high) == (0.0, 1.0):
            return None
        return _BIT_DEPTHS.get(high, 0) if low == 0 else 0
    if _wide_mode(image) is None:
        return None
    colours = _dark_colours(data, image)
    return 16 if colours is None else _BIT_DEPTHS[_usual_top(float(colours.max()))]


def _dark_colours(data: bytes, image: Image.Image) -> np.ndarray | None:
    """(height, width, 3) uint16 of 16-bit colours that use 14 bits or fewer, else None. Decodes `image`."""
    mode = _wide_mode(image)
    image.load()
    if mode is None:
        return None
    high = np.asarray(image)  # (height, width, 3 or 4) uint8
    if int(high[..., :3].max()) >= 1 << 6:
        return None
    # in the other byte order "the high byte" is the low one
    other = mode.replace("16B", "16L") if "16B" in mode else re.sub("16[LN]", "16B", mode)
    with Image.open(io.BytesIO(data), formats=[str(image.format)]) as again:
        again.tile = [tile._replace(args=_with_mode(tile.args, other)) for tile in again.tile]
        low = np.asarray(again)
    return (high[..., :3].astype(np.uint16) << 8) | low[..., :3]


def _wide_mode(image: Image.Image) -> str | None:
    """How a PNG or TIFF stores its 16-bit colours; None where it has none."""
    if image.format not in ("PNG", "TIFF") or not getattr(image, "tile", None):
        return None
    args = image.tile[0].args  # type: ignore[attr-defined]
    mode = args[0] if isinstance(args, tuple) else args
    return mode if isinstance(mode, str) and _WIDE_COLOURS.fullmatch(mode) else None


def _with_mode(args: Any, mode: str) -> Any:
    return (mode, *args[1:]) if isinstance(args, tuple) else mode


def _from_wide_samples(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)  # (height, width)
    white = _transparent_value(image)
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0) if image.mode == "F" else samples
    low, high = _sample_range(image, float(finite.min()), float(finite.max()))
    levels = np.empty(samples.shape, np.uint8)
    n_rows = max(1, _STRIP_SAMPLES // samples.shape[1])
    for start in range(0, len(samples), n_rows):  # in strips: as numbers of eight bytes a picture may fill the memory
        strip = slice(start, start + n_rows)
        levels[strip] = np.clip((finite[strip].astype(np.float64) - low) * (255.0 / (high - low)), 0, 255).round()
        levels[strip][samples[strip] == white] = 255
    return Image.fromarray(levels).convert("RGB")


def _transparent_value(image: Image.Image) -> Any:
    value = image.info.get("transparency")
    return value if isinstance(value, int) else np.nan


def _sample_range(image: Image.Image, low: float, high: float) -> tuple[float, float]:
    """Sample values that stand for black and white, of an image whose samples go from `low` to `high`.

    Cameras and scanners of 10 to 14 bits write 16-bit files: the smallest usual range that holds the samples;
    where none does, from the smallest sample to the largest. PGM says its range, to which Pillow scales.
    """
    if image.format == "PPM":
        return 0.0, 65535.0
    if low >= 0 and image.mode == "F" and high <= 1.0:
        return 0.0, 1.0
    if low >= 0 and high <= max(_BIT_DEPTHS):
        return 0.0, _usual_top(high)
    return low, max(high, low + 1.0)


def _usual_top(high: float) -> float:
    return next(top for top in _BIT_DEPTHS if high <= top)
