"""Pictures of the pretraining domain: the same animals by other hands than the data set's.

Line sketches, flat icons, posters, silhouettes with colour patches and toy figurines, on plain or
patterned paper: no scenes, no photographic light. `draw_subject` gives a picture with its facts, from
which `captions.py` writes a caption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from .anatomy import body_parts, head_parts_count
from .breeds import BREEDS, Breed
from .camera import Shot, View, project
from .coats import Rgb
from .individual import PoseName, Spread, sample_dog
from .menagerie import ANIMALS, COLOURS, POLYGONS, THINGS, Brush
from .parts import Part
from .raster import TILE_PX, Canvas, Fur, Light, paint, shade

PAPER_PX = 168
SKETCH_PX = 112


@dataclass(frozen=True)
class Facts:
    """What a caption may say of a picture; `kind` is dog, animal, thing or shape."""

    kind: str
    name: str
    style: str
    colour: str
    ear: str
    pose: PoseName
    is_head: bool
    count: int = 1


@dataclass(frozen=True)
class Mixture:
    """How often each kind of picture comes, and how the styles share the animals."""

    dog: float = 0.70
    animal: float = 0.12
    thing: float = 0.10
    styles: tuple[tuple[str, float], ...] = (
        ("icon", 0.28),
        ("sketch", 0.18),
        ("poster", 0.18),
        ("silhouette", 0.12),
        ("figurine", 0.24),
    )
    spread: Spread = field(default_factory=lambda: Spread(proportion=0.07, shade=0.16, warmth=0.06))


def draw_subject(rng: np.random.Generator, mixture: Mixture) -> tuple[np.ndarray, Facts]:
    """One picture, (112, 112, 3) uint8, and its facts."""
    toss = rng.random()
    if toss < mixture.dog + mixture.animal:
        kind = "dog" if toss < mixture.dog else "animal"
        picture, facts = _draw_animal(kind, rng, mixture)
    else:
        kind = "thing" if toss < mixture.dog + mixture.animal + mixture.thing else "shape"
        picture, facts = _draw_still(kind, rng)
    small = picture.resize((SKETCH_PX, SKETCH_PX), Image.Resampling.BOX)
    if rng.random() < 0.15:
        small = small.filter(ImageFilter.GaussianBlur(0.8))
    values = np.asarray(small, np.float32) + rng.normal(0.0, rng.uniform(0, 8), (SKETCH_PX, SKETCH_PX, 1))
    return np.clip(values, 0, 255).astype(np.uint8), facts


def _draw_animal(kind: str, rng: np.random.Generator, mixture: Mixture) -> tuple[Image.Image, Facts]:
    bestiary: dict[str, Breed] = BREEDS if kind == "dog" else ANIMALS
    name = str(rng.choice(list(bestiary)))
    styles, weights = zip(*mixture.styles, strict=True)
    style = str(rng.choice(styles, p=weights))
    dog = sample_dog(bestiary[name], rng, mixture.spread)
    is_head = bool(rng.random() < 0.35)
    shot = Shot(
        yaw=dog.pose.yaw,
        elevation=float(rng.uniform(0.0, 0.25)),
        is_mirrored=bool(rng.random() < 0.5),
        fill=float(rng.uniform(0.55, 0.95)),
        centre_x=float(rng.normal(0.5, 0.05)),
        foot_y=float(rng.uniform(0.82, 0.97)),
    )
    parts = body_parts(dog)
    head = slice(-head_parts_count(dog), None)
    # A head may be a badge without a body, or a close view of the whole animal.
    if is_head and rng.random() < 0.5:
        parts, head = parts[head], slice(None)
    view = project(parts, shot, PAPER_PX, head if is_head else slice(None))
    fur = Fur(dog.build.fluff, _offset(rng), dog.extent, dog.coat.marks.get("spot"), dog.coat.spotted)
    picture = STYLES[style](_paper(rng), view, fur, rng)
    facts = Facts(kind, name, style, colour_name(dog.coat.base), dog.build.ear, dog.pose.name, is_head)
    return picture, facts


def _draw_still(kind: str, rng: np.random.Generator) -> tuple[Image.Image, Facts]:
    colour = str(rng.choice(list(COLOURS)))
    name = str(rng.choice(list(THINGS if kind == "thing" else POLYGONS)))
    count = int(rng.integers(1, 4))
    picture = _paper(rng)
    draw = ImageDraw.Draw(picture)
    for _ in range(count):
        size = rng.uniform(0.3, 0.55 if count > 1 else 0.9) * PAPER_PX
        at = tuple(rng.uniform(-0.05 * PAPER_PX, PAPER_PX * 1.05 - size, 2).tolist())
        brush = Brush(draw, (at[0], at[1]), size)
        if kind == "thing":
            THINGS[name](brush, COLOURS[colour])
        else:
            brush.polygon(POLYGONS[name], COLOURS[colour])
    return picture, Facts(kind, name, "icon", colour, "", "stand", False, count)


def colour_name(colour: Rgb) -> str:
    """The nearest colour word."""
    goals = np.array(list(COLOURS.values()), float)
    return list(COLOURS)[int(((goals - np.array(colour)) ** 2).sum(1).argmin())]


def _offset(rng: np.random.Generator) -> tuple[int, int]:
    row, column = rng.integers(0, TILE_PX - PAPER_PX, 2).tolist()
    return row, column


def _paper(rng: np.random.Generator) -> Image.Image:
    """Plain, striped, dotted, rayed or two-tone paper in a random colour."""
    ground = _tint(rng)
    paper = Image.new("RGB", (PAPER_PX, PAPER_PX), ground)
    draw, other = ImageDraw.Draw(paper), _tint(rng)
    kind = rng.choice(["plain", "stripes", "dots", "rays", "halves"], p=[0.4, 0.15, 0.15, 0.1, 0.2])
    step = int(rng.integers(12, 40))
    if kind == "stripes":
        for start in range(-PAPER_PX, PAPER_PX, 2 * step):
            draw.polygon(
                ((start, 0), (start + step, 0), (start + step + 60, PAPER_PX), (start + 60, PAPER_PX)),
                fill=other,
            )
    elif kind == "dots":
        for x in range(0, PAPER_PX, step):
            for y in range(0, PAPER_PX, step):
                draw.ellipse((x, y, x + step / 2, y + step / 2), fill=other)
    elif kind == "rays":
        for angle in range(0, 360, step):
            draw.pieslice((-80, -80, PAPER_PX + 80, PAPER_PX + 80), angle, angle + step / 2, fill=other)
    elif kind == "halves":
        draw.rectangle((0, int(rng.uniform(0.4, 0.9) * PAPER_PX), PAPER_PX, PAPER_PX), fill=other)
    return paper


def _tint(rng: np.random.Generator) -> Rgb:
    grey = rng.uniform(60, 250)
    red, green, blue = np.clip(grey + rng.normal(0, 45, 3), 10, 252).astype(int).tolist()
    return red, green, blue


def _ordered(view: View) -> list[tuple[Part, np.ndarray, np.ndarray]]:
    """Parts from far to near, as a painter lays them down."""
    front = view.ends[:, :, 2].mean(1) + 0.5 * view.radii.mean(1)
    return [(view.parts[i], view.ends[i], view.radii[i]) for i in np.argsort(front, kind="stable")]


def _hull(draw: ImageDraw.ImageDraw, ends: np.ndarray, radii: np.ndarray, fill: Rgb, grow: float = 0.0) -> None:
    """The outline of a tapered capsule, filled."""
    (ax, ay, _), (bx, by, _) = ends.tolist()
    ra, rb = (max(0.5, radius + grow) for radius in radii.tolist())
    length = float(np.hypot(bx - ax, by - ay))
    for x, y, r in ((ax, ay, ra), (bx, by, rb)):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    if length > 1.0:
        px, py = -(by - ay) / length, (bx - ax) / length
        sides = (
            (ax + px * ra, ay + py * ra),
            (bx + px * rb, by + py * rb),
            (bx - px * rb, by - py * rb),
            (ax - px * ra, ay - py * ra),
        )
        draw.polygon(sides, fill=fill)


def _fill_part(draw: ImageDraw.ImageDraw, part: Part, ends: np.ndarray, radii: np.ndarray) -> None:
    _hull(draw, ends, radii, part.colour)
    for mark, rise in ((part.top, -0.38), (part.under, 0.42)):
        if mark is not None:
            _hull(draw, ends + np.array([0, rise * radii.mean(), 0]), radii * 0.60, mark)
    if part.tip is not None:
        _hull(draw, ends[[1, 1]], radii[[1, 1]] * 0.95, part.tip)


def _icon(paper: Image.Image, view: View, fur: Fur, rng: np.random.Generator) -> Image.Image:
    draw = ImageDraw.Draw(paper)
    for part, ends, radii in _ordered(view):
        _fill_part(draw, part, ends, radii)
    return paper


def _sketch(paper: Image.Image, view: View, fur: Fur, rng: np.random.Generator) -> Image.Image:
    draw, ink, line = ImageDraw.Draw(paper), (40, 38, 46), float(rng.uniform(1.2, 2.6))
    is_washed = rng.random() < 0.6
    page = paper.getpixel((2, 2))
    for part, ends, radii in _ordered(view):
        wobble = ends + rng.normal(0, 0.5, ends.shape)
        _hull(draw, wobble, radii, ink, line)
        pale = np.array(part.colour) * 0.75 + 60
        red, green, blue = np.array(pale if is_washed or max(part.colour) < 60 else page).astype(int).tolist()
        _hull(draw, wobble, radii, (red, green, blue))
    return paper


def _poster(paper: Image.Image, view: View, fur: Fur, rng: np.random.Generator) -> Image.Image:
    draw, ink = ImageDraw.Draw(paper), _tint(rng)
    shifted = [(part, ends + np.array([4.0, 4.0, 0.0]), radii) for part, ends, radii in _ordered(view)]
    for _, ends, radii in shifted:
        _hull(draw, ends, radii, ink, 1.0)
    return ImageOps.posterize(_icon(paper, view, fur, rng), int(rng.integers(2, 4)))


def _silhouette(paper: Image.Image, view: View, fur: Fur, rng: np.random.Generator) -> Image.Image:
    draw, ink = ImageDraw.Draw(paper), _tint(rng)
    ordered = _ordered(view)
    for _, ends, radii in ordered:
        _hull(draw, ends, radii, ink)
    for part, ends, radii in ordered:
        if rng.random() < 0.45:
            _fill_part(draw, part, ends, radii * 0.8)
    return paper


def _figurine(paper: Image.Image, view: View, fur: Fur, rng: np.random.Generator) -> Image.Image:
    """A toy: the solid body, smooth as plastic, under a plain lamp."""
    canvas = Canvas(PAPER_PX)
    smooth = replace(fur, strength=0.0 if rng.random() < 0.6 else fur.strength)
    paint(canvas, view, smooth)
    lamp = Light((float(rng.uniform(-0.6, 0.6)), -0.6, 0.55), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0.2)
    behind = np.asarray(paper, np.float32)
    lit = behind + canvas.alpha[..., None] * (shade(canvas, lamp, smooth) - behind)
    return Image.fromarray(lit.astype(np.uint8))


STYLES: dict[str, Callable[[Image.Image, View, Fur, np.random.Generator], Image.Image]] = {
    "icon": _icon,
    "sketch": _sketch,
    "poster": _poster,
    "silhouette": _silhouette,
    "figurine": _figurine,
}
