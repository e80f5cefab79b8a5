"""What may stand between the viewer and the dog."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .coats import Rgb
from .places import SCENES, blob, shaded


def paint_foreground(picture: Image.Image, name: str, rng: np.random.Generator) -> None:
    """Stand something in front of the dog: grass or drifts from below, a branch, a post, or a toy."""
    draw = ImageDraw.Draw(picture)
    side = picture.width
    kind = rng.choice(["tuft", "branch", "post", "ball"], p=[0.40, 0.25, 0.15, 0.20])
    if kind == "tuft":
        _tufts(draw, rng, side, SCENES[name].ground[1])
    elif kind == "branch":
        _branch(draw, rng, side)
    elif kind == "post":
        x, wide = rng.uniform(0.1, 0.9) * side, rng.uniform(0.04, 0.10) * side
        draw.rectangle((x, 0, x + wide, side), fill=shaded((142, 112, 84), rng))
        draw.line((x + wide * 0.3, 0, x + wide * 0.3, side), fill=shaded((168, 138, 106), rng), width=2)
    else:
        size = rng.uniform(0.06, 0.12) * side
        x, y = rng.uniform(0.2, 0.8) * side, side * rng.uniform(0.84, 0.94)
        colour: Rgb = ((214, 70, 64), (236, 196, 60), (66, 130, 200), (190, 214, 70))[rng.integers(4)]
        blob(draw, (x, y), (size, size), shaded(colour, rng, 0.05))
        blob(draw, (x - size * 0.3, y - size * 0.35), (size * 0.25, size * 0.2), (250, 244, 236))


def _tufts(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, ground: Rgb) -> None:
    for _ in range(rng.integers(2, 6)):
        x, reach = rng.uniform(0, side), rng.uniform(0.10, 0.30) * side
        for _ in range(9):
            root, lean = x + rng.normal(0, side * 0.03), rng.normal(0, side * 0.05)
            tip = (root + lean, side - reach * rng.uniform(0.6, 1.0))
            draw.polygon(((root - 2.5, side), (root + 2.5, side), tip), fill=shaded(ground, rng, 0.16))


def _branch(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x = rng.choice([0.0, 1.0]) * side
    y = rng.uniform(0.0, 0.4) * side
    inward = 1 if x == 0 else -1
    for leaf in range(rng.integers(8, 20)):
        cx = x + inward * (leaf * 0.022 + rng.uniform(0, 0.05)) * side
        cy = y + rng.normal(0, 0.06) * side
        blob(draw, (cx, cy), (side * 0.035, side * 0.018), shaded((96, 140, 74), rng, 0.2))
