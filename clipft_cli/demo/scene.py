"""A place made visible: its backdrop, its light, and the shadow a dog casts there."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .places import Scene
from .raster import Light


def paint_backdrop(scene: Scene, rng: np.random.Generator, side_px: int) -> Image.Image:
    """The empty place, drawn at half size and enlarged, so that it is as soft as an out-of-focus view."""
    half = side_px // 2
    horizon = rng.uniform(*scene.horizon)
    picture = _gradient(scene, horizon, half, rng)
    scene.props(ImageDraw.Draw(picture), rng, half, horizon * half)
    soft = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.4, 2.0))))
    return soft.resize((side_px, side_px), Image.Resampling.BICUBIC)


def sample_light(scene: Scene, rng: np.random.Generator) -> Light:
    """The scene's light from a random side, sometimes dim, sometimes from behind."""
    exposure = float(np.exp(rng.normal(-0.02, 0.08)))
    side = rng.uniform(-0.85, 0.85)
    height, front = rng.uniform(0.35, 0.85), rng.uniform(0.15, 0.75)
    norm = float(np.sqrt(side**2 + height**2 + front**2))
    red, green, blue = (float(channel * exposure) for channel in scene.sun)
    return Light((side / norm, -height / norm, front / norm), (red, green, blue), scene.ambient, scene.rim)


def _gradient(scene: Scene, horizon: float, side_px: int, rng: np.random.Generator) -> Image.Image:
    y = (np.arange(side_px) + 0.5) / side_px
    jitter = rng.normal(1.0, 0.05) * rng.normal(1.0, 0.025, 3)
    up = np.clip(y / horizon, 0, 1)[:, None]
    down = np.clip((y - horizon) / (1 - horizon), 0, 1)[:, None] ** 0.7
    sky = (1 - up) * scene.sky[0] + up * scene.sky[1]
    ground = (1 - down) * scene.ground[0] + down * scene.ground[1]
    column = np.where((y < horizon)[:, None], sky, ground) * jitter
    grain = rng.normal(0.0, 4.0, (side_px, side_px, 1)) * (y >= horizon)[:, None, None]
    return Image.fromarray(np.clip(column[:, None, :] + grain, 0, 255).astype(np.uint8))


def cast_shadow(backdrop: Image.Image, box: tuple[float, float, float, float], light: Light) -> Image.Image:
    """Darken the ground under the dog's box (left, top, right, bottom in pixels), away from the light."""
    side = backdrop.width
    left, _, right, foot = (value / 4 for value in box)
    drift = -light.direction[0] * side * 0.02
    mask = Image.new("L", (side // 4, side // 4), 0)
    inset = (right - left) * 0.10
    ellipse = (left + inset + drift, foot - side * 0.022, right - inset + drift, foot + side * 0.008)
    ImageDraw.Draw(mask).ellipse(ellipse, fill=120)
    shadow = mask.filter(ImageFilter.GaussianBlur(2.2)).resize(backdrop.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", backdrop.size, (44, 40, 62)), backdrop, shadow)
