"""What the tiny model sees in pretraining besides dogs: other animals, things and shapes.

The animals are built like the dogs (`Breed`); things and shapes are plain polygons on a square of side 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

from PIL import ImageDraw

from .breeds import Breed
from .builds import read_builds
from .coats import CHARCOAL, CHOCOLATE, CREAM, FAWN, INK, ORANGE, SABLE, SILVER, STEEL, TAN, WHITE, Coat, Rgb

PINK: Rgb = (236, 170, 170)
GREEN: Rgb = (80, 160, 90)

_BUILDS = read_builds("""
cat    .80  .42 .22 .20 .26 .25 .12  .34 prick .52  .34 sabre .80 .05 .30 0
fox    .88  .44 .23 .20 .30 .24 .86  .32 prick .80  .36 low   .80 .12 .50 0
wolf   .92  .56 .28 .21 .36 .26 .90  .42 prick .60  .32 low   .66 .09 .50 0
bear   .98  .44 .38 .34 .30 .32 .42  .50 prick .10  .34 stub  .10 .06 .50 .20
rabbit .62  .22 .25 .26 .20 .25 .16  .38 prick 1.60 .26 stub  .14 .12 .40 .10
pig    .98  .28 .33 .31 .24 .29 .44  .50 fold  .50  .34 curl  .22 .03 0   .20
sheep  .90  .38 .36 .34 .26 .25 .62  .42 fold  .44  .26 stub  .14 .08 .90 0
horse  1.00 .86 .29 .25 .62 .23 1.40 .44 prick .42  .20 low   .80 .07 .10 .20
""")

_COATS: dict[str, tuple[Coat, ...]] = {
    "cat": (
        Coat(ORANGE, {"chest": CREAM, "muzzle": CREAM}),
        Coat(CHARCOAL, {"eye": GREEN}),
        Coat(SILVER, {"paw": WHITE}),
        Coat(WHITE, {"back": INK, "ear": INK}),
    ),
    "fox": (Coat(ORANGE, {"chest": WHITE, "muzzle": WHITE, "leg": INK, "paw": INK, "tip": WHITE}),),
    "wolf": (Coat(STEEL, {"chest": SILVER, "muzzle": SILVER, "back": CHARCOAL}), Coat(CHARCOAL)),
    "bear": (Coat(CHOCOLATE, {"muzzle": TAN}), Coat(INK, {"muzzle": SABLE}), Coat(WHITE)),
    "rabbit": (Coat(WHITE), Coat(SILVER, {"belly": WHITE}), Coat(FAWN, {"belly": CREAM})),
    "pig": (Coat(PINK), Coat(PINK, {"back": INK})),
    "sheep": (
        Coat(WHITE, {"skull": INK, "cheek": INK, "muzzle": INK, "ear": INK, "leg": INK, "paw": INK}),
        Coat(CREAM),
    ),
    "horse": (Coat(CHOCOLATE, {"blaze": WHITE}), Coat(SILVER), Coat(INK, {"paw": WHITE})),
}

ANIMALS: dict[str, Breed] = {name: Breed(_BUILDS[name], _COATS[name]) for name in _BUILDS}

COLOURS: dict[str, Rgb] = {
    "red": (206, 58, 54),
    "orange": (234, 142, 54),
    "yellow": (240, 208, 76),
    "green": (84, 160, 86),
    "blue": (62, 112, 196),
    "purple": (132, 84, 170),
    "pink": (238, 156, 178),
    "brown": (128, 86, 56),
    "black": (36, 34, 38),
    "grey": (146, 148, 152),
    "white": (246, 244, 240),
}


def _star(points: int, inner: float) -> list[tuple[float, float]]:
    corners = []
    for step in range(2 * points):
        reach = 0.5 if step % 2 == 0 else 0.5 * inner
        angle = pi * step / points - pi / 2
        corners.append((0.5 + reach * cos(angle), 0.5 + reach * sin(angle)))
    return corners


def _regular(sides: int) -> list[tuple[float, float]]:
    return [
        (0.5 + 0.5 * cos(2 * pi * k / sides - pi / 2), 0.5 + 0.5 * sin(2 * pi * k / sides - pi / 2))
        for k in range(sides)
    ]


POLYGONS: dict[str, list[tuple[float, float]]] = {
    "circle": _regular(40),
    "triangle": _regular(3),
    "square": [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)],
    "hexagon": _regular(6),
    "star": _star(5, 0.42),
    "cross": [
        (0.35, 0),
        (0.65, 0),
        (0.65, 0.35),
        (1, 0.35),
        (1, 0.65),
        (0.65, 0.65),
        (0.65, 1),
        (0.35, 1),
        (0.35, 0.65),
        (0, 0.65),
        (0, 0.35),
        (0.35, 0.35),
    ],
    "arrow": [(0, 0.35), (0.55, 0.35), (0.55, 0.1), (1, 0.5), (0.55, 0.9), (0.55, 0.65), (0, 0.65)],
}


class Brush:
    """Draws in the unit square of one thing: `at` is its upper left corner, `size` its side in pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float) -> None:
        self.draw, self.at, self.size = draw, at, size

    def box(self, left: float, top: float, right: float, bottom: float, fill: Rgb, *, is_round: bool = False) -> None:
        """A rectangle or an ellipse."""
        x, y = self.at
        corners = (x + left * self.size, y + top * self.size, x + right * self.size, y + bottom * self.size)
        (self.draw.ellipse if is_round else self.draw.rectangle)(corners, fill=fill)

    def polygon(self, points: list[tuple[float, float]], fill: Rgb) -> None:
        """A filled polygon."""
        x, y = self.at
        self.draw.polygon([(x + px * self.size, y + py * self.size) for px, py in points], fill=fill)


def _house(brush: Brush, colour: Rgb) -> None:
    brush.box(0.15, 0.45, 0.85, 1.0, colour)
    brush.polygon([(0.05, 0.47), (0.5, 0.05), (0.95, 0.47)], (126, 70, 60))
    brush.box(0.42, 0.68, 0.60, 1.0, INK)


def _tree(brush: Brush, colour: Rgb) -> None:
    brush.box(0.44, 0.5, 0.56, 1.0, (110, 80, 56))
    brush.box(0.18, 0.05, 0.82, 0.68, colour, is_round=True)


def _car(brush: Brush, colour: Rgb) -> None:
    brush.polygon([(0.22, 0.5), (0.34, 0.28), (0.68, 0.28), (0.82, 0.5)], (176, 206, 222))
    brush.box(0.05, 0.48, 0.95, 0.74, colour)
    for left in (0.16, 0.66):
        brush.box(left, 0.64, left + 0.2, 0.84, INK, is_round=True)


def _boat(brush: Brush, colour: Rgb) -> None:
    brush.polygon([(0.08, 0.7), (0.92, 0.7), (0.76, 0.92), (0.24, 0.92)], colour)
    brush.polygon([(0.5, 0.08), (0.5, 0.66), (0.86, 0.66)], WHITE)


def _flower(brush: Brush, colour: Rgb) -> None:
    brush.box(0.47, 0.45, 0.53, 1.0, GREEN)
    for x, y in ((0.5, 0.16), (0.68, 0.30), (0.61, 0.52), (0.39, 0.52), (0.32, 0.30)):
        brush.box(x - 0.14, y - 0.14, x + 0.14, y + 0.14, colour, is_round=True)
    brush.box(0.40, 0.26, 0.60, 0.46, (246, 214, 90), is_round=True)


def _cup(brush: Brush, colour: Rgb) -> None:
    brush.box(0.60, 0.38, 0.92, 0.72, colour, is_round=True)
    brush.box(0.18, 0.28, 0.74, 0.86, colour)


def _fish(brush: Brush, colour: Rgb) -> None:
    brush.polygon([(0.66, 0.5), (0.98, 0.26), (0.98, 0.74)], colour)
    brush.box(0.05, 0.28, 0.76, 0.72, colour, is_round=True)
    brush.box(0.18, 0.42, 0.25, 0.49, INK, is_round=True)


def _bird(brush: Brush, colour: Rgb) -> None:
    brush.box(0.22, 0.36, 0.80, 0.80, colour, is_round=True)
    brush.box(0.10, 0.14, 0.46, 0.50, colour, is_round=True)
    brush.polygon([(0.12, 0.28), (0.0, 0.36), (0.14, 0.40)], (238, 170, 60))
    brush.polygon([(0.7, 0.5), (1.0, 0.36), (0.92, 0.66)], colour)
    brush.box(0.22, 0.26, 0.29, 0.33, INK, is_round=True)


THINGS: dict[str, Callable[[Brush, Rgb], None]] = {
    "house": _house,
    "tree": _tree,
    "car": _car,
    "boat": _boat,
    "flower": _flower,
    "cup": _cup,
    "fish": _fish,
    "bird": _bird,
}
