"""Draw one picture of a dog: `draw_dog(breed, seed=0, index=7)`.

A picture is a function of (seed, breed, index) alone: neither the order of the calls nor the other
breeds matter. Everything that makes the task harder or easier stands in `Nuisance` and `Spread`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from PIL import Image, ImageFilter

from .anatomy import body_parts, head_parts_count
from .breeds import BREEDS
from .camera import Shot, View, project
from .foreground import paint_foreground
from .individual import Dog, Spread, sample_dog
from .places import SCENES
from .raster import TILE_PX, Canvas, Fur, Light, paint, shade
from .scene import cast_shadow, paint_backdrop, sample_light

IMAGE_PX = 224
WORK_PX = 280
"""Bodies are painted larger and reduced, on top of their analytic edge coverage."""


@dataclass(frozen=True)
class Nuisance:
    """What a picture shows besides the breed: odds, and ranges of what differs from one to the next.

    `fill` and `portrait_fill` are fractions of the picture; `blur_px` and `noise` (of 255) are maxima.
    """

    portrait: float = 0.12
    fill: tuple[float, float] = (0.90, 1.05)
    portrait_fill: tuple[float, float] = (0.55, 0.80)
    off_centre: float = 0.04
    occluded: float = 0.12
    blurred: float = 0.12
    blur_px: float = 1.6
    noise: float = 4.0
    spread: Spread = field(
        default_factory=lambda: Spread(
            proportion=0.03,
            fluff=0.05,
            jowl=0.06,
            shade=0.05,
            warmth=0.02,
            mark_lost=0.01,
            patch_extent=0.08,
            exaggeration=1.0,
            typicality=4.0,
        )
    )


DEFAULT_NUISANCE = Nuisance()


def draw_dog(breed: str, *, seed: int, index: int) -> Image.Image:
    """A picture of one dog of `breed`, a key of `BREEDS`, as a 224 x 224 RGB image.

    Deterministic in (seed, breed, index). Raises KeyError for an unknown breed.
    """
    rng = np.random.default_rng([seed, crc32(breed.encode()), index])
    nuisance = DEFAULT_NUISANCE
    dog = sample_dog(BREEDS[breed], rng, nuisance.spread)
    scene_name = str(rng.choice(list(SCENES)))
    light = sample_light(SCENES[scene_name], rng)
    backdrop = paint_backdrop(SCENES[scene_name], rng, WORK_PX)
    view, is_portrait = _frame(dog, nuisance, rng)
    if not is_portrait:
        backdrop = cast_shadow(backdrop, view.box, light)
    picture = _compose(backdrop, view, dog, light, rng)
    if rng.random() < nuisance.occluded:
        paint_foreground(picture, scene_name, rng)
    return _develop(picture, nuisance, rng)


def _frame(dog: Dog, nuisance: Nuisance, rng: np.random.Generator) -> tuple[View, bool]:
    """The dog seen by a camera: its whole body, or a portrait of its head."""
    is_portrait = bool(rng.random() < nuisance.portrait)
    fill = rng.uniform(*(nuisance.portrait_fill if is_portrait else nuisance.fill))
    shot = Shot(
        yaw=dog.pose.yaw,
        elevation=float(rng.uniform(0.05, 0.28)),
        is_mirrored=bool(rng.random() < 0.5),
        fill=float(fill),
        centre_x=float(rng.normal(0.5, nuisance.off_centre)),
        foot_y=float(rng.uniform(0.66, 0.86) if is_portrait else rng.uniform(0.86, 0.98)),
    )
    framed = slice(-head_parts_count(dog), None) if is_portrait else slice(None)
    return project(body_parts(dog), shot, WORK_PX, framed), is_portrait


def _compose(backdrop: Image.Image, view: View, dog: Dog, light: Light, rng: np.random.Generator) -> Image.Image:
    row, column = rng.integers(0, TILE_PX - WORK_PX, 2).tolist()
    fur = Fur(dog.build.fluff, (row, column), dog.extent, dog.coat.marks.get("spot"), dog.coat.spotted)
    canvas = Canvas(WORK_PX)
    paint(canvas, view, fur)
    behind = np.asarray(backdrop, np.float32)
    picture = behind + canvas.alpha[..., None] * (shade(canvas, light, fur) - behind)
    return Image.fromarray(picture.astype(np.uint8))


def _develop(picture: Image.Image, nuisance: Nuisance, rng: np.random.Generator) -> Image.Image:
    """Reduce to the final size, then what a camera adds: a colour cast, contrast, blur and noise."""
    reduced = picture.resize((IMAGE_PX, IMAGE_PX), Image.Resampling.LANCZOS)
    if rng.random() < nuisance.blurred:
        reduced = reduced.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, nuisance.blur_px))))
    cast = rng.normal(1.0, 0.03, 3).astype(np.float32)
    contrast = np.float32(rng.normal(1.0, 0.08))
    values = (np.asarray(reduced, np.float32) - 128.0) * (contrast * cast) + 128.0
    grain = rng.standard_normal((IMAGE_PX, IMAGE_PX, 1), np.float32) * np.float32(rng.uniform(0.0, nuisance.noise))
    return Image.fromarray(np.clip(values + grain, 0, 255).astype(np.uint8))
