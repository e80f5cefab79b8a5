"""From a dog to its body: a list of tapered capsules in space, each with its colours.

Body axes: x forward, y up, z to the dog's left; the ground is y = 0; the unit is the torso of a
medium dog. The head is built in its own axes, in skull radii, and then turned and set on the neck.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import cos, sin

import numpy as np

from .head import head_parts
from .individual import Dog
from .parts import Part, Vec


@dataclass(frozen=True)
class Joints:
    """Where a pose puts the skeleton; legs in the order fore left, fore right, hind left, hind right."""

    hip: Vec
    shoulder: Vec
    skull: Vec
    legs: tuple[tuple[Vec, Vec, Vec], ...]


def body_parts(dog: Dog) -> list[Part]:
    """All parts of the dog in body axes, feet on the ground; the head's parts come last."""
    joints = _joints(dog)
    return [*_legs(dog, joints), *_tail(dog, joints), *_torso(dog, joints), *_placed_head(dog, joints)]


def head_parts_count(dog: Dog) -> int:
    """How many of the last `body_parts` belong to the head."""
    return len(list(head_parts(dog)))


def _joints(dog: Dog) -> Joints:
    return {"stand": _standing, "walk": _standing, "sit": _sitting, "lie": _lying}[dog.pose.name](dog)


def _skull_position(dog: Dog, shoulder: Vec, lean: float) -> Vec:
    reach = dog.build.neck + 0.55 * dog.build.head
    x, y, z = shoulder
    return x + reach * cos(lean), y + reach * sin(lean), z


def _standing(dog: Dog) -> Joints:
    build, stride = dog.build, dog.pose.stride
    half, width = build.torso / 2, 0.52 * build.chest
    hip: Vec = (-half, build.leg + build.waist * 0.85, 0.0)
    shoulder: Vec = (half, build.leg + build.chest * 0.85, 0.0)
    legs = []
    for fore, side, phase in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        x, top = (half * 0.92, shoulder[1] - 0.1) if fore > 0 else (-half * 0.96, hip[1] - 0.02)
        swing = phase * stride * build.leg
        lift = max(0.0, phase * fore) * stride * 0.12
        knee = (x + swing * 0.45 + (0.02 if fore > 0 else -0.09), build.leg * 0.48 + lift, side * width)
        legs.append(((x, top, side * width), knee, (x + swing + 0.03, 0.055 + lift, side * width)))
    return Joints(hip, shoulder, _skull_position(dog, shoulder, 0.95), tuple(legs))


def _sitting(dog: Dog) -> Joints:
    build = dog.build
    width = 0.55 * build.chest
    hip: Vec = (-0.30 * build.torso, build.waist * 0.95, 0.0)
    rise = 0.35 * build.torso + 0.55 * build.leg
    shoulder: Vec = (hip[0] + 0.52 * build.torso, hip[1] + rise, 0.0)
    legs = []
    for side in (1, -1):
        x, z = shoulder[0] + 0.06, side * width
        legs.append(((x - 0.04, shoulder[1] - 0.12, z), (x, shoulder[1] * 0.45, z), (x + 0.03, 0.055, z * 1.1)))
    for side in (1, -1):
        z = side * (build.waist * 0.95)
        legs.append(
            (
                (hip[0] + 0.02, hip[1], z),
                (hip[0] + 0.26, build.waist, z * 1.25),
                (hip[0] + 0.36, 0.055, z * 1.3),
            )
        )
    return Joints(hip, shoulder, _skull_position(dog, shoulder, 1.25), tuple(legs))


def _lying(dog: Dog) -> Joints:
    build = dog.build
    half, width = build.torso / 2, 0.62 * build.chest
    hip: Vec = (-half, build.waist * 0.9, 0.0)
    shoulder: Vec = (half * 0.9, build.chest * 1.05, 0.0)
    legs = []
    for side in (1, -1):
        z = side * width
        reach = shoulder[0] + 0.16 + 0.4 * build.leg
        legs.append(((shoulder[0], shoulder[1] - 0.06, z), (shoulder[0] + 0.02, 0.075, z), (reach, 0.055, z)))
    for side in (1, -1):
        z = side * build.waist * 1.05
        legs.append(
            (
                (hip[0] + 0.05, hip[1], z),
                (hip[0] + 0.28, build.waist * 0.8, z * 1.2),
                (hip[0] + 0.30, 0.055, z * 1.3),
            )
        )
    return Joints(hip, shoulder, _skull_position(dog, shoulder, 1.05), tuple(legs))


def _legs(dog: Dog, joints: Joints) -> Iterator[Part]:
    coat, build = dog.coat, dog.build
    leg, paw = coat.colour("leg"), coat.colour("paw")
    bone = 0.052 + 0.10 * build.chest
    for place, (top, knee, foot) in enumerate(joints.legs):
        is_hind = place >= 2
        thigh = build.waist * 0.72 if is_hind else build.chest * 0.42
        yield Part(top, knee, thigh, bone * 1.1, coat.base, tip=leg, blend=0.07)
        yield Part(knee, foot, bone, bone * 0.86, leg, tip=paw, blend=0.03, fur=0.55)
        toe = (foot[0] + 0.07, foot[1] - 0.005, foot[2])
        yield Part(foot, toe, bone * 0.95, bone * 0.92, paw, blend=0.03, fur=0.3)


def _torso(dog: Dog, joints: Joints) -> Iterator[Part]:
    build, coat = dog.build, dog.coat
    hip, shoulder, skull = joints.hip, joints.shoulder, joints.skull
    middle: Vec = tuple(0.55 * s + 0.45 * h for s, h in zip(shoulder, hip, strict=True))  # type: ignore[assignment]
    middle = (middle[0], middle[1] - 0.03, 0.0)
    back, belly, chest = coat.marks.get("back"), coat.marks.get("belly"), coat.colour("chest")
    yield Part(hip, middle, build.waist, build.chest * 0.93, coat.base, back, belly, blend=0.10)
    yield Part(middle, shoulder, build.chest * 0.93, build.chest, coat.base, back, belly, blend=0.10)
    ruff = build.chest * (0.66 + 0.22 * build.fluff)
    breast: Vec = (shoulder[0] + build.chest * 0.42, shoulder[1] - build.chest * 0.12, 0.0)
    yield Part(breast, breast, ruff, ruff, chest, blend=0.08)
    neck = coat.colour("neck")
    throat = build.head * (0.66 + 0.25 * build.fluff)
    yield Part(shoulder, skull, build.chest * 0.74, throat, neck, top=back, under=coat.marks.get("chest"), blend=0.09)
    if dog.collar is not None:
        ring: Vec = tuple(0.42 * s + 0.58 * k for s, k in zip(shoulder, skull, strict=True))  # type: ignore[assignment]
        yield Part(ring, ring, throat * 1.10, throat * 1.10, dog.collar, blend=0.01, flat=0.98, fur=0.0)
        above: Vec = tuple(0.28 * s + 0.72 * k for s, k in zip(shoulder, skull, strict=True))  # type: ignore[assignment]
        yield Part(above, skull, throat * 1.13, throat * 1.05, neck, blend=0.01)


def _tail(dog: Dog, joints: Joints) -> Iterator[Part]:
    build, coat = dog.build, dog.coat
    heading = {"curl": 1.9, "sabre": 2.5, "low": 3.9, "stub": 2.4}[build.tail]
    turn = {"curl": -4.6, "sabre": -0.9, "low": -0.7, "stub": 0.0}[build.tail]
    if dog.pose.name in ("sit", "lie") and build.tail != "curl":
        heading, turn = 3.05, -0.25
    steps = 6
    x, y, z = joints.hip[0] - build.waist * 0.80, joints.hip[1] + build.waist * 0.42, 0.0
    if dog.pose.name == "sit":
        x, y = joints.hip[0] - build.waist * 0.7, max(0.09, joints.hip[1] - build.waist * 0.5)
    colour = coat.colour("tail")
    for step in range(steps):
        along = step / (steps - 1)
        length = build.tail_length / steps
        nxt: Vec = (
            x + length * cos(heading),
            max(0.05, y + length * sin(heading)),
            z + length * sin(dog.pose.tail_swing),
        )
        bush = build.tail_width * (0.8 + 0.9 * build.fluff * sin(np.pi * min(1.0, along + 0.15)))
        shade = coat.colour("tip") if along > 0.65 and "tip" in coat.marks else colour
        yield Part((x, y, z), nxt, bush, bush * (0.9 if along < 1 else 0.6), shade, blend=0.03)
        (x, y, z), heading = nxt, heading + turn / steps


def _placed_head(dog: Dog, joints: Joints) -> Iterator[Part]:
    """The head's parts turned by the pose, scaled by the skull radius and moved onto the neck."""
    pose, size = dog.pose, dog.build.head
    turn = _rotation(pose.head_yaw, pose.head_pitch, pose.head_roll)
    origin = np.array(joints.skull)

    def placed(point: Vec) -> Vec:
        x, y, z = (turn @ np.array(point) * size + origin).tolist()
        return x, y, z

    for part in head_parts(dog):
        yield replace(
            part,
            a=placed(part.a),
            b=placed(part.b),
            ra=part.ra * size,
            rb=part.rb * size,
            blend=part.blend * size,
        )


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3): roll about x, then pitch about z, then yaw about y; positive yaw turns towards +z."""
    about_x = np.array([[1, 0, 0], [0, cos(roll), -sin(roll)], [0, sin(roll), cos(roll)]])
    about_z = np.array([[cos(pitch), -sin(pitch), 0], [sin(pitch), cos(pitch), 0], [0, 0, 1]])
    about_y = np.array([[cos(yaw), 0, -sin(yaw)], [0, 1, 0], [sin(yaw), 0, cos(yaw)]])
    return about_y @ about_z @ about_x
