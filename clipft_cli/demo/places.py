"""The places a dog is drawn in: their colours, their light, and the props that stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from .coats import Rgb

Props = Callable[[ImageDraw.ImageDraw, np.random.Generator, int, float], None]
"""(draw, rng, side in pixels, horizon in pixels from the top)"""


@dataclass(frozen=True)
class Scene:
    """A place: sky from top to horizon, ground from horizon to the viewer's feet, light and props.

    `horizon` is the range of its height as a fraction of the picture, from the top.
    """

    sky: tuple[Rgb, Rgb]
    ground: tuple[Rgb, Rgb]
    horizon: tuple[float, float]
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    rim: float
    props: Props


def shaded(colour: Rgb, rng: np.random.Generator, spread: float = 0.10) -> Rgb:
    """The colour, lighter or darker at random; `spread` is a standard deviation in log brightness."""
    gain = np.exp(rng.normal(0.0, spread))
    red, green, blue = np.clip(np.array(colour) * gain, 0, 255).astype(int).tolist()
    return red, green, blue


def blob(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radii: tuple[float, float], colour: Rgb) -> None:
    """A filled ellipse by centre (x, y) and radii (x, y), in pixels."""
    (x, y), (rx, ry) = centre, radii
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


def _clouds(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0, side), rng.uniform(0.1, 0.7) * horizon
        for _ in range(4):
            blob(
                draw,
                (x + rng.normal(0, side * 0.07), y + rng.normal(0, 2)),
                (side * 0.07, side * 0.03),
                (244, 246, 248),
            )


def _tree(draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, foot: float, size: float) -> None:
    draw.rectangle((x - size * 0.06, foot - size * 0.5, x + size * 0.06, foot), fill=(104, 78, 56))
    green = shaded((84, 138, 78), rng, 0.18)
    for _ in range(5):
        blob(
            draw,
            (x + rng.normal(0, size * 0.15), foot - size * rng.uniform(0.5, 0.9)),
            (size * 0.22, size * 0.2),
            shaded(green, rng),
        )


def _meadow(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    _clouds(draw, rng, side, horizon)
    for _ in range(3):
        width = rng.uniform(0.4, 0.9) * side
        blob(
            draw,
            (rng.uniform(0, side), horizon + 0.05 * side),
            (width, rng.uniform(0.1, 0.2) * side),
            shaded((128, 172, 112), rng),
        )
    draw.rectangle((0, horizon + 0.04 * side, side, horizon + 0.2 * side), fill=shaded((136, 178, 96), rng, 0.05))
    petals: tuple[Rgb, ...] = ((240, 220, 100), (244, 240, 246), (222, 120, 150), (150, 120, 214))
    for _ in range(rng.integers(10, 50)):
        y = rng.uniform(horizon + 0.06 * side, side)
        size = 0.6 + 1.6 * (y - horizon) / side
        blob(draw, (rng.uniform(0, side), y), (size, size), petals[rng.integers(len(petals))])


def _beach(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    _clouds(draw, rng, side, horizon)
    shore = horizon + rng.uniform(0.08, 0.2) * side
    draw.rectangle((0, horizon, side, shore), fill=shaded((86, 164, 190), rng))
    for _ in range(5):
        y = rng.uniform(horizon, shore)
        x = rng.uniform(0, side)
        draw.line((x, y, x + side * 0.3, y), fill=(176, 216, 222), width=1)
    draw.rectangle((0, shore - 1.5, side, shore + 1.5), fill=(238, 240, 232))
    if rng.random() < 0.5:
        x, y, size = rng.uniform(0.1, 0.9) * side, horizon - 0.02 * side, rng.uniform(0.1, 0.18) * side
        draw.line((x, y, x, y + size * 1.8), fill=(222, 214, 196), width=2)
        colour = ((216, 84, 76), (240, 190, 70), (70, 140, 190))[rng.integers(3)]
        draw.pieslice((x - size, y - size, x + size, y + size), 180, 360, fill=colour)


def _indoor(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    wall = shaded(((226, 206, 178), (184, 204, 206), (214, 190, 190), (196, 204, 176))[rng.integers(4)], rng)
    draw.rectangle((0, 0, side, horizon), fill=wall)
    draw.rectangle((0, horizon - 0.03 * side, side, horizon), fill=(240, 234, 222))
    x, y, size = rng.uniform(0.0, 0.7) * side, rng.uniform(0.02, 0.12) * side, rng.uniform(0.2, 0.34) * side
    draw.rectangle((x - 2, y - 2, x + size + 2, y + size * 1.2 + 2), fill=(246, 240, 230))
    draw.rectangle((x, y, x + size, y + size * 1.2), fill=shaded((176, 214, 234), rng))
    draw.line((x + size / 2, y, x + size / 2, y + size * 1.2), fill=(246, 240, 230), width=2)
    if rng.random() < 0.6:
        sofa, left = (
            shaded(((150, 92, 84), (84, 108, 138), (110, 128, 96))[rng.integers(3)], rng),
            rng.uniform(-0.1, 0.6) * side,
        )
        draw.rounded_rectangle((left, horizon - 0.22 * side, left + 0.5 * side, horizon + 0.06 * side), 6, fill=sofa)
    for row in range(4):
        y = horizon + (side - horizon) * (row / 4) ** 1.2
        draw.line((0, y, side, y), fill=(150, 110, 76), width=1)
    if rng.random() < 0.7:
        rug = shaded(((184, 96, 88), (96, 122, 150), (212, 184, 132))[rng.integers(3)], rng)
        blob(draw, (side / 2, 0.9 * side), (0.5 * side, 0.12 * side), rug)


def _snow(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    for _ in range(rng.integers(3, 9)):
        x, size = rng.uniform(0, side), rng.uniform(0.15, 0.4) * side
        green = shaded((78, 112, 108), rng, 0.15)
        for tier in range(3):
            top, wide = horizon + 3 - size * (1 - tier * 0.22), size * (0.14 + 0.07 * tier)
            draw.polygon(((x, top), (x - wide, top + size * 0.42), (x + wide, top + size * 0.42)), fill=green)
    blob(draw, (rng.uniform(0, side), horizon + 0.12 * side), (0.8 * side, 0.14 * side), (226, 234, 244))
    for _ in range(rng.integers(0, 60)):
        blob(draw, (rng.uniform(0, side), rng.uniform(0, side)), (0.8, 0.8), (252, 252, 255))


def _park(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    for _ in range(rng.integers(2, 7)):
        _tree(draw, rng, rng.uniform(0, side), horizon + 0.05 * side, rng.uniform(0.25, 0.6) * side)
    x = rng.uniform(0.2, 0.8) * side
    draw.polygon(((x, horizon), (x + 4, horizon), (x + 0.5 * side, side), (x - 0.3 * side, side)), fill=(204, 188, 158))
    if rng.random() < 0.5:
        x, y = rng.uniform(0.0, 0.7) * side, horizon + 0.02 * side
        for level in (-0.08, -0.04, 0.0):
            draw.line((x, y + level * side, x + 0.3 * side, y + level * side), fill=(132, 90, 58), width=2)
        draw.line((x + 3, y, x + 3, y + 0.07 * side), fill=(70, 66, 66), width=2)
        draw.line((x + 0.28 * side, y, x + 0.28 * side, y + 0.07 * side), fill=(70, 66, 66), width=2)


def _sunset(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, horizon: float) -> None:
    x, size = rng.uniform(0.1, 0.9) * side, rng.uniform(0.06, 0.12) * side
    blob(draw, (x, horizon - rng.uniform(0, 0.12) * side), (size * 1.5, size * 1.5), (252, 196, 130))
    blob(draw, (x, horizon - rng.uniform(0, 0.12) * side), (size, size), (255, 226, 170))
    for colour in ((156, 96, 112), (118, 78, 96)):
        for _ in range(3):
            blob(
                draw,
                (rng.uniform(0, side), horizon + 0.06 * side),
                (rng.uniform(0.2, 0.6) * side, rng.uniform(0.08, 0.16) * side),
                colour,
            )
    draw.rectangle((0, horizon + 0.05 * side, side, horizon + 0.16 * side), fill=(122, 92, 84))


SCENES: dict[str, Scene] = {
    "meadow": Scene(
        ((142, 190, 226), (220, 234, 238)),
        ((140, 182, 98), (104, 152, 76)),
        (0.35, 0.6),
        (1.06, 1.02, 0.94),
        (0.9, 1.0, 1.05),
        0.4,
        _meadow,
    ),
    "beach": Scene(
        ((120, 184, 226), (222, 238, 240)),
        ((232, 214, 172), (218, 192, 144)),
        (0.3, 0.5),
        (1.10, 1.04, 0.93),
        (0.9, 1.0, 1.1),
        0.5,
        _beach,
    ),
    "indoor": Scene(
        ((226, 206, 178), (226, 206, 178)),
        ((178, 134, 94), (158, 114, 78)),
        (0.55, 0.75),
        (1.02, 0.95, 0.85),
        (1.0, 0.9, 0.8),
        0.2,
        _indoor,
    ),
    "snow": Scene(
        ((174, 196, 220), (226, 232, 240)),
        ((226, 234, 244), (240, 244, 250)),
        (0.4, 0.6),
        (0.98, 1.0, 1.05),
        (1.0, 1.1, 1.3),
        0.4,
        _snow,
    ),
    "park": Scene(
        ((176, 206, 214), (226, 232, 214)),
        ((134, 168, 96), (116, 148, 84)),
        (0.4, 0.6),
        (0.98, 1.0, 0.92),
        (0.9, 1.05, 0.9),
        0.3,
        _park,
    ),
    "sunset": Scene(
        ((116, 100, 152), (250, 178, 128)),
        ((146, 112, 90), (112, 86, 72)),
        (0.45, 0.65),
        (1.06, 0.93, 0.82),
        (0.95, 0.88, 1.0),
        1.2,
        _sunset,
    ),
}
