"""The twenty drawn breeds: the build and the coats of each, and nothing about how they are drawn.

Lengths are in torso lengths of a medium dog (1.0 is about half a metre); colours are sRGB, 0 to 255.
The numbers are means: every drawn individual departs from them by the spread in `individual.py`.
Neighbours share most of their numbers on purpose (beagle and basset hound, golden and labrador
retriever, husky and malamute, bernese and border collie, boxer and bullmastiff).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rgb = tuple[int, int, int]
Ear = Literal["prick", "drop", "fold", "wing"]
Tail = Literal["curl", "sabre", "low", "stub"]

INK: Rgb = (38, 35, 40)
CHARCOAL: Rgb = (72, 70, 78)
STEEL: Rgb = (122, 124, 134)
SILVER: Rgb = (172, 174, 180)
WHITE: Rgb = (246, 242, 234)
CREAM: Rgb = (240, 222, 186)
BUTTER: Rgb = (232, 202, 146)
GOLD: Rgb = (214, 160, 88)
HONEY: Rgb = (196, 132, 62)
RUST: Rgb = (172, 92, 42)
TAN: Rgb = (190, 126, 70)
FAWN: Rgb = (206, 160, 108)
SABLE: Rgb = (134, 90, 58)
CHOCOLATE: Rgb = (92, 58, 40)
AMBER: Rgb = (112, 66, 24)
BLUE_EYE: Rgb = (96, 156, 206)
ORANGE: Rgb = (222, 138, 66)


@dataclass(frozen=True)
class Build:
    """Shape of a breed: `torso`, `leg`, `chest`, `waist`, `neck`, `head` in torso lengths of a medium dog.

    Ear and muzzle sizes are in skull radii; `fluff` and `jowl` run from 0 to 1.
    """

    torso: float = 1.0
    leg: float = 0.50
    chest: float = 0.27
    waist: float = 0.21
    neck: float = 0.34
    head: float = 0.235
    muzzle: float = 0.75
    muzzle_width: float = 0.46
    ear: Ear = "drop"
    ear_length: float = 1.0
    ear_width: float = 0.34
    tail: Tail = "sabre"
    tail_length: float = 0.55
    tail_width: float = 0.055
    fluff: float = 0.25
    jowl: float = 0.2


@dataclass(frozen=True)
class Coat:
    """One colouring: a base colour and the regions that depart from it; `weight` is its share of the breed.

    Regions: back, belly, chest, neck, skull, cheek, muzzle, ear, leg, paw, tail, tip, blaze, brow, mask,
    eye and spot. A region that is absent has the base colour; an absent blaze, brow or mask is not drawn.
    """

    base: Rgb
    marks: Mapping[str, Rgb] = field(default_factory=dict)
    weight: float = 1.0
    spotted: float = 0.0

    def colour(self, region: str) -> Rgb:
        """The colour of a region, the base where the coat has no mark there."""
        return self.marks.get(region, self.base)


@dataclass(frozen=True)
class Breed:
    """A named build with its coats."""

    build: Build
    coats: tuple[Coat, ...]


def _sled_coat(top: Rgb, weight: float, **marks: Rgb) -> Coat:
    """White face, legs and belly under a dark mantle: husky and malamute."""
    pale = dict.fromkeys(("belly", "chest", "cheek", "muzzle", "leg", "paw", "brow"), WHITE)
    return Coat(top, {**pale, "tip": WHITE, **marks}, weight)


def _hound_coat(saddle: Rgb, tan: Rgb, weight: float, **marks: Rgb) -> Coat:
    """Dark saddle, tan head and white below: beagle and basset."""
    pale = dict.fromkeys(("belly", "chest", "muzzle", "leg", "paw", "tip"), WHITE)
    return Coat(tan, {**pale, "back": saddle, "tail": saddle, **marks}, weight)


def _tri_coat(weight: float, **marks: Rgb) -> Coat:
    """Black mantle with white chest, blaze and feet: bernese and border collie."""
    pale = dict.fromkeys(("chest", "paw", "tip", "blaze", "muzzle"), WHITE)
    return Coat(INK, {**pale, **marks}, weight)


def _masked_coat(base: Rgb, weight: float, **marks: Rgb) -> Coat:
    """One fawn colour with a black muzzle: boxer, bullmastiff, pug."""
    return Coat(base, {"muzzle": INK, "mask": SABLE, **marks}, weight)


def _plain_coat(base: Rgb, under: Rgb, weight: float = 1.0) -> Coat:
    """One colour, a shade lighter below: retrievers."""
    return Coat(base, dict.fromkeys(("belly", "muzzle", "paw"), under), weight)


_FIRST_TEN: dict[str, Breed] = {
    "alaskan_malamute": Breed(
        Build(0.86, 0.50, 0.31, 0.25, 0.35, 0.307, 0.66, 0.50, "prick", 0.58, 0.34, "curl", 0.70, 0.105, 0.62),
        (_sled_coat(CHARCOAL, 0.5, eye=AMBER), _sled_coat(STEEL, 0.3, eye=AMBER), _sled_coat(SABLE, 0.2, eye=AMBER)),
    ),
    "basset_hound": Breed(
        Build(1.02, 0.26, 0.29, 0.25, 0.34, 0.29, 0.86, 0.48, "drop", 1.45, 0.38, "sabre", 0.55, 0.050, 0.15, 0.75),
        (_hound_coat(INK, RUST, 0.5, tail=RUST), _hound_coat(TAN, TAN, 0.3), _hound_coat(CHOCOLATE, TAN, 0.2)),
    ),
    "beagle": Breed(
        Build(0.82, 0.42, 0.26, 0.21, 0.34, 0.267, 0.72, 0.44, "drop", 1.12, 0.36, "sabre", 0.50, 0.048, 0.15, 0.25),
        (_hound_coat(INK, TAN, 0.6, blaze=WHITE), _hound_coat(RUST, TAN, 0.25, blaze=WHITE), _hound_coat(CHOCOLATE, TAN, 0.15)),
    ),
    "bernese_mountain_dog": Breed(
        Build(0.87, 0.46, 0.32, 0.27, 0.35, 0.307, 0.66, 0.52, "drop", 0.88, 0.36, "low", 0.68, 0.100, 0.60, 0.4),
        (_tri_coat(0.8, brow=RUST, cheek=RUST, leg=RUST), _tri_coat(0.2, brow=RUST, cheek=INK, leg=TAN)),
    ),
    "border_collie": Breed(
        Build(0.84, 0.50, 0.26, 0.21, 0.36, 0.261, 0.84, 0.40, "fold", 0.62, 0.30, "low", 0.66, 0.085, 0.50, 0.1),
        (_tri_coat(0.55, neck=WHITE, leg=WHITE), _tri_coat(0.25, brow=RUST, cheek=RUST, leg=WHITE, neck=WHITE),
         Coat(CHOCOLATE, {"chest": WHITE, "paw": WHITE, "blaze": WHITE, "muzzle": WHITE, "neck": WHITE, "leg": WHITE, "tip": WHITE}, 0.2)),
    ),
    "boxer": Breed(
        Build(0.82, 0.54, 0.28, 0.2, 0.38, 0.284, 0.46, 0.56, "fold", 0.62, 0.30, "stub", 0.16, 0.050, 0.06, 0.6),
        (_masked_coat(FAWN, 0.4, chest=WHITE, paw=WHITE), _masked_coat(RUST, 0.4, chest=WHITE, paw=WHITE, blaze=WHITE),
         _masked_coat(SABLE, 0.2, chest=WHITE, paw=WHITE, blaze=WHITE)),
    ),
    "bullmastiff": Breed(
        Build(0.89, 0.48, 0.33, 0.27, 0.34, 0.336, 0.42, 0.62, "fold", 0.66, 0.32, "sabre", 0.52, 0.060, 0.08, 0.8),
        (_masked_coat(FAWN, 0.45, ear=SABLE), _masked_coat(RUST, 0.35, ear=CHOCOLATE), _masked_coat(SABLE, 0.2, ear=INK)),
    ),
    "golden_retriever": Breed(
        Build(0.87, 0.46, 0.29, 0.24, 0.37, 0.284, 0.78, 0.46, "drop", 0.92, 0.36, "sabre", 0.68, 0.095, 0.58, 0.25),
        (_plain_coat(GOLD, BUTTER, 0.5), _plain_coat(HONEY, GOLD, 0.3), _plain_coat(BUTTER, CREAM, 0.2)),
    ),
    "husky": Breed(
        Build(0.84, 0.52, 0.265, 0.215, 0.36, 0.273, 0.74, 0.43, "prick", 0.74, 0.32, "curl", 0.62, 0.085, 0.48),
        (_sled_coat(STEEL, 0.45, eye=BLUE_EYE, blaze=WHITE), _sled_coat(CHARCOAL, 0.35, eye=BLUE_EYE, blaze=WHITE),
         _sled_coat(SABLE, 0.2, eye=AMBER, blaze=WHITE)),
    ),
    "labrador_retriever": Breed(
        Build(0.86, 0.47, 0.285, 0.245, 0.36, 0.284, 0.72, 0.49, "drop", 0.78, 0.34, "sabre", 0.62, 0.066, 0.12, 0.3),
        (_plain_coat(BUTTER, CREAM, 0.4), _plain_coat(GOLD, BUTTER, 0.25), _plain_coat(CHOCOLATE, SABLE, 0.15), _plain_coat(INK, INK, 0.2)),
    ),
}

_SECOND_TEN: dict[str, Breed] = {
    "newfoundland": Breed(
        Build(0.89, 0.44, 0.34, 0.29, 0.33, 0.331, 0.56, 0.56, "drop", 0.78, 0.36, "low", 0.66, 0.105, 0.66, 0.5),
        (_plain_coat(INK, INK, 0.7), _plain_coat(CHOCOLATE, CHOCOLATE, 0.3)),
    ),
    "papillon": Breed(
        Build(0.76, 0.40, 0.22, 0.19, 0.32, 0.267, 0.62, 0.36, "wing", 0.98, 0.46, "curl", 0.62, 0.090, 0.56, 0.0),
        (Coat(WHITE, {"ear": RUST, "mask": RUST, "back": RUST, "blaze": WHITE}, 0.6), Coat(WHITE, {"ear": INK, "mask": INK, "blaze": WHITE}, 0.4)),
    ),
    "pointer": Breed(
        Build(0.87, 0.58, 0.26, 0.18, 0.40, 0.261, 0.92, 0.42, "drop", 0.82, 0.32, "sabre", 0.56, 0.042, 0.05, 0.3),
        (Coat(WHITE, {"skull": CHOCOLATE, "cheek": CHOCOLATE, "ear": CHOCOLATE, "spot": CHOCOLATE}, 0.6, 0.6),
         Coat(WHITE, {"skull": INK, "cheek": INK, "ear": INK, "spot": INK}, 0.4, 0.6)),
    ),
    "pomeranian": Breed(
        Build(0.62, 0.30, 0.31, 0.28, 0.25, 0.302, 0.42, 0.36, "prick", 0.46, 0.28, "curl", 0.60, 0.130, 0.95, 0.0),
        (_plain_coat(ORANGE, CREAM, 0.7), _plain_coat(CREAM, WHITE, 0.3)),
    ),
    "pug": Breed(
        Build(0.72, 0.34, 0.28, 0.25, 0.27, 0.331, 0.26, 0.54, "fold", 0.52, 0.28, "curl", 0.40, 0.055, 0.06, 0.7),
        (_masked_coat(CREAM, 0.8, ear=INK, mask=INK), _plain_coat(INK, INK, 0.2)),
    ),
    "rottweiler": Breed(
        Build(0.87, 0.47, 0.31, 0.26, 0.35, 0.313, 0.62, 0.54, "fold", 0.66, 0.34, "stub", 0.20, 0.060, 0.10, 0.5),
        (Coat(INK, {"muzzle": RUST, "brow": RUST, "leg": RUST, "paw": RUST, "chest": RUST}),),
    ),
    "saint_bernard": Breed(
        Build(0.91, 0.47, 0.34, 0.28, 0.34, 0.342, 0.56, 0.60, "drop", 0.82, 0.36, "low", 0.66, 0.090, 0.48, 0.85),
        (Coat(WHITE, {"back": RUST, "skull": RUST, "mask": INK, "ear": CHOCOLATE, "blaze": WHITE, "tail": RUST, "tip": WHITE}),),
    ),
    "samoyed": Breed(
        Build(0.84, 0.46, 0.3, 0.26, 0.34, 0.29, 0.60, 0.42, "prick", 0.58, 0.32, "curl", 0.68, 0.120, 0.85, 0.1),
        (_plain_coat(WHITE, WHITE, 0.8), _plain_coat(CREAM, WHITE, 0.2)),
    ),
    "shiba_inu": Breed(
        Build(0.77, 0.45, 0.255, 0.215, 0.33, 0.278, 0.58, 0.42, "prick", 0.56, 0.32, "curl", 0.50, 0.075, 0.35, 0.1),
        (Coat(ORANGE, dict.fromkeys(("belly", "chest", "cheek", "muzzle", "brow", "tip"), CREAM), 0.75),
         Coat(INK, {"belly": CREAM, "chest": CREAM, "cheek": TAN, "muzzle": CREAM, "brow": TAN, "leg": TAN, "paw": CREAM}, 0.25)),
    ),
    "welsh_corgi": Breed(
        Build(0.92, 0.24, 0.26, 0.235, 0.33, 0.278, 0.66, 0.42, "prick", 0.84, 0.38, "stub", 0.12, 0.060, 0.35, 0.1),
        (Coat(ORANGE, dict.fromkeys(("belly", "chest", "muzzle", "paw", "blaze", "neck"), WHITE)),),
    ),
}

BREEDS: dict[str, Breed] = {**_FIRST_TEN, **_SECOND_TEN}
"""Every breed by its folder name, in alphabetical order: the class order of the data set."""
