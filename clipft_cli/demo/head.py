"""A dog's head in its own axes: x towards the nose, y up, z to the dog's left, in skull radii."""

from __future__ import annotations

from collections.abc import Iterator

from .coats import INK, WHITE, Rgb
from .individual import Dog
from .parts import Part, Vec

TONGUE: Rgb = (226, 110, 120)
INNER_EAR: Rgb = (206, 150, 138)
NOSE: Rgb = (34, 30, 34)
BROWN_EYE: Rgb = (84, 48, 24)


def head_parts(dog: Dog) -> Iterator[Part]:
    """The head before the pose turns it: skull, cheeks, muzzle, markings, eyes and ears."""
    coat, build = dog.coat, dog.build
    skull, cheek = coat.colour("skull"), coat.colour("cheek")
    yield Part((-0.12, 0.05, 0.0), (0.10, 0.02, 0.0), 0.96, 0.94, skull, blend=0.15, fur=0.5)
    for side in (1, -1):
        full = 0.50 + 0.16 * build.fluff + 0.10 * build.jowl
        yield Part((0.30, -0.34, 0.36 * side), (0.30, -0.36, 0.42 * side), full, full, cheek, blend=0.3, fur=0.8)
    yield from _muzzle(dog)
    yield from _markings(dog)
    for side in (1, -1):
        yield from _eye(dog, side)
        yield from _ear(dog, side)


def _muzzle(dog: Dog) -> Iterator[Part]:
    build, colour = dog.build, dog.coat.colour("muzzle")
    width, end = build.muzzle_width, 0.72 + build.muzzle
    yield Part((0.55, -0.30, 0.0), (end, -0.34, 0.0), width * 1.05, width * 0.84, colour, blend=0.18, fur=0.3)
    if build.jowl > 0.15:
        for side in (1, -1):
            hang = width * (0.42 + 0.32 * build.jowl)
            corner: Vec = (end - 0.30, -0.42 - 0.42 * build.jowl, 0.24 * side)
            yield Part((end - 0.05, -0.40, 0.14 * side), corner, hang, hang * 0.9, colour, blend=0.12, fur=0.3)
    chin = -0.34 - width * 0.80
    yield Part((end - 0.15, chin, 0.0), (0.7, chin, 0.0), width * 0.46, width * 0.5, colour, blend=0.05, fur=0.5)
    mouth = -0.34 - width * (0.62 + 0.2 * build.jowl)
    for side in (1, -1):
        yield Part(
            (end + width * 0.60, mouth, 0.0),
            (end - 0.25, mouth - 0.02, width * 0.80 * side),
            0.035,
            0.03,
            INK,
            blend=0.0,
            fur=0,
        )
    if dog.pose.is_panting:
        lip: Vec = (end + width * 0.45, chin + 0.02, 0.0)
        yield Part(
            lip,
            (lip[0] + 0.06, lip[1] - 0.40, 0.0),
            0.17,
            0.19,
            TONGUE,
            blend=0.02,
            flat=0.5,
            gloss=0.4,
            fur=0.0,
        )
    tip: Vec = (end + width * 0.68, -0.16, 0.0)
    yield Part((tip[0], tip[1], 0.09), (tip[0], tip[1], -0.09), 0.17, 0.17, NOSE, blend=0.02, gloss=1.0, fur=0.0)


def _markings(dog: Dog) -> Iterator[Part]:
    marks, wide = dog.coat.marks, 1.0 + dog.extent
    if "mask" in marks:
        for side in (1, -1):
            yield Part(
                (0.52, 0.16, 0.40 * side),
                (0.50, 0.00, 0.42 * side),
                0.42 * wide,
                0.37 * wide,
                marks["mask"],
                blend=0.16,
                fur=0.3,
            )
    if "blaze" in marks:
        yield Part(
            (0.50, 0.72, 0.0),
            (0.98, -0.05, 0.0),
            0.22 * wide,
            0.20 * wide,
            marks["blaze"],
            blend=0.10,
            fur=0.3,
        )
    if "brow" in marks:
        for side in (1, -1):
            yield Part(
                (0.76, 0.50, 0.34 * side),
                (0.76, 0.47, 0.42 * side),
                0.15 * wide,
                0.13 * wide,
                marks["brow"],
                blend=0.07,
                fur=0.3,
            )


def _eye(dog: Dog, side: int) -> Iterator[Part]:
    iris = dog.coat.marks.get("eye", BROWN_EYE)
    centre: Vec = (0.83, 0.19, 0.39 * side)
    yield Part(centre, centre, 0.185, 0.185, INK, blend=0.03, fur=0.0)
    inner: Vec = (0.885, 0.195, 0.405 * side)
    yield Part(inner, inner, 0.155, 0.155, iris, blend=0.0, gloss=0.6, fur=0.0)
    pupil: Vec = (0.945, 0.20, 0.42 * side)
    yield Part(pupil, pupil, 0.112, 0.112, INK, blend=0.0, gloss=1.0, fur=0.0)
    glint: Vec = (1.03, 0.265, 0.40 * side + 0.02)
    yield Part(glint, glint, 0.045, 0.045, WHITE, blend=0.0, gloss=1.0, fur=0.0)


def _ear(dog: Dog, side: int) -> Iterator[Part]:
    build, colour = dog.build, dog.coat.colour("ear")
    length, width = build.ear_length, build.ear_width

    def at(x: float, y: float, z: float) -> Vec:
        return x, y, z * side

    if build.ear in ("prick", "wing"):
        out = 0.62 if build.ear == "prick" else 1.05
        root, point = at(-0.10, 0.62, 0.52), at(-0.06, 0.72 + length, out)
        spread = 0.10 if build.ear == "prick" else 0.62
        yield Part(root, point, width * 1.15, width * (0.14 + spread), colour, blend=0.10, flat=0.6, fur=0.5)
        inner_root, inner_point = at(0.12, 0.74, 0.54), at(0.06, 0.60 + length, out)
        yield Part(
            inner_root,
            inner_point,
            width * 0.66,
            width * (0.06 + spread * 0.6),
            INNER_EAR,
            blend=0.03,
            flat=0.4,
            fur=0.3,
        )
        return
    elbow = at(0.08, 0.50, 0.98) if build.ear == "drop" else at(0.12, 0.80, 0.92)
    drop = length if build.ear == "drop" else length * 0.85
    point = at(0.22, elbow[1] - drop, 1.02)
    yield Part(at(-0.02, 0.66, 0.55), elbow, width * 0.72, width * 0.80, colour, blend=0.12, flat=0.7, fur=0.7)
    end = width * (1.0 if build.ear == "drop" else 0.62)
    yield Part(elbow, point, width * 0.86, end, colour, blend=0.06, flat=0.55, fur=0.7)
