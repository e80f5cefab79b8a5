"""One dog of a breed: its own proportions, its own coat shade, and how it holds itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .breeds import Breed
from .builds import BUILDS, Build
from .coats import Coat, Rgb

PoseName = Literal["stand", "walk", "sit", "lie"]

PROPORTIONS = (
    "torso",
    "leg",
    "chest",
    "waist",
    "neck",
    "head",
    "muzzle",
    "muzzle_width",
    "ear_length",
    "ear_width",
    "tail_length",
    "tail_width",
)


@dataclass(frozen=True)
class Spread:
    """How far an individual departs from its breed: standard deviations, and odds of odd cases.

    `exaggeration` moves the breeds apart before that: 0.5 makes each differ from the mean dog by half
    as much again, as a caricature does. `typicality` is an exponent on the shares of a breed's coats:
    above 1 the commonest coat is drawn more often still.
    """

    proportion: float = 0.085
    fluff: float = 0.10
    jowl: float = 0.12
    shade: float = 0.13
    warmth: float = 0.045
    mark_lost: float = 0.14
    patch_extent: float = 0.16
    exaggeration: float = 0.0
    typicality: float = 1.0


@dataclass(frozen=True)
class Pose:
    """A posture; angles in radians. `yaw` turns the whole dog: 0 shows its side, pi/2 its face."""

    name: PoseName
    yaw: float
    head_yaw: float
    head_pitch: float
    head_roll: float
    stride: float
    tail_swing: float
    is_panting: bool


@dataclass(frozen=True)
class Dog:
    """An individual in a pose, ready to be given a body; `extent` shifts the borders of its markings."""

    build: Build
    coat: Coat
    pose: Pose
    extent: float
    collar: Rgb | None


COLLARS: tuple[Rgb, ...] = ((198, 52, 52), (44, 96, 178), (44, 140, 92), (228, 178, 52), (128, 74, 160))


def sample_dog(breed: Breed, rng: np.random.Generator, spread: Spread) -> Dog:
    """Draw one individual and its pose from the breed's distribution."""
    return Dog(
        build=_vary_build(_exaggerated(breed.build, spread.exaggeration), rng, spread),
        coat=_vary_coat(_pick_coat(breed, rng, spread.typicality), rng, spread),
        pose=sample_pose(rng),
        extent=float(rng.normal(0.0, spread.patch_extent)),
        collar=COLLARS[rng.integers(len(COLLARS))] if rng.random() < 0.35 else None,
    )


def sample_pose(rng: np.random.Generator) -> Pose:
    """A posture, mostly in three-quarter view, head turned somewhat towards the viewer."""
    name: PoseName = rng.choice(["stand", "walk", "sit", "lie"], p=[0.36, 0.20, 0.28, 0.16])
    yaw = rng.uniform(0.15, 0.85) if name in ("stand", "walk") else rng.uniform(0.35, 1.25)
    towards_viewer = rng.uniform(0.65, 1.5) - yaw
    return Pose(
        name=name,
        yaw=float(yaw),
        head_yaw=float(np.clip(towards_viewer, -0.5, 1.0)),
        head_pitch=float(rng.normal(0.02, 0.12)),
        head_roll=float(rng.normal(0.0, 0.12)),
        stride=float(rng.uniform(0.25, 0.6)) if name == "walk" else float(rng.uniform(0.0, 0.12)),
        tail_swing=float(rng.normal(0.0, 0.3)),
        is_panting=bool(rng.random() < 0.45),
    )


def _exaggerated(build: Build, amount: float) -> Build:
    """The build, further from the mean of all breeds by `amount`, no measure below half of its own."""
    traits = (*PROPORTIONS, "fluff", "jowl")
    own = np.array([getattr(build, name) for name in traits])
    mean = np.mean([[getattr(other, name) for name in traits] for other in BUILDS.values()], axis=0)
    pushed = np.maximum(own + amount * (own - mean), own / 2)
    return replace(build, **dict(zip(traits, pushed.tolist(), strict=True)))


def _vary_build(build: Build, rng: np.random.Generator, spread: Spread) -> Build:
    size = np.exp(rng.normal(0.0, spread.proportion, len(PROPORTIONS)))
    scaled = {name: getattr(build, name) * float(s) for name, s in zip(PROPORTIONS, size, strict=True)}
    fluff = float(np.clip(build.fluff + rng.normal(0.0, spread.fluff), 0.0, 1.0))
    jowl = float(np.clip(build.jowl + rng.normal(0.0, spread.jowl), 0.0, 1.0))
    return replace(build, **scaled, fluff=fluff, jowl=jowl)


def _pick_coat(breed: Breed, rng: np.random.Generator, typicality: float) -> Coat:
    weights = np.array([coat.weight for coat in breed.coats]) ** typicality
    return breed.coats[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _vary_coat(coat: Coat, rng: np.random.Generator, spread: Spread) -> Coat:
    """One shade and warmth for the whole dog; now and then an optional mark is missing."""
    gain = np.exp(rng.normal(0.0, spread.shade))
    warmth = rng.normal(0.0, spread.warmth)
    tint = gain * np.array([1 + warmth, 1.0, 1 - 1.5 * warmth])

    def shaded(colour: Rgb) -> Rgb:
        red, green, blue = np.clip(np.array(colour) * tint, 8, 250).astype(int).tolist()
        return red, green, blue

    optional = ("blaze", "brow", "mask", "chest", "tip", "paw", "neck", "cheek")
    kept = {
        region: colour if region == "eye" else shaded(colour)
        for region, colour in coat.marks.items()
        if region not in optional or rng.random() > spread.mark_lost
    }
    return replace(coat, base=shaded(coat.base), marks=kept)
