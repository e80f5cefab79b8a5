"""The palette, and the coats of each drawn breed. Colours are sRGB, 0 to 255."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Rgb = tuple[int, int, int]

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


COATS: dict[str, tuple[Coat, ...]] = {
    "alaskan_malamute": (
        _sled_coat(CHARCOAL, 0.5, eye=AMBER),
        _sled_coat(STEEL, 0.3, eye=AMBER),
        _sled_coat(SABLE, 0.2, eye=AMBER),
    ),
    "basset_hound": (
        _hound_coat(INK, RUST, 0.5, tail=RUST),
        _hound_coat(TAN, TAN, 0.3),
        _hound_coat(CHOCOLATE, TAN, 0.2),
    ),
    "beagle": (
        _hound_coat(INK, TAN, 0.6, blaze=WHITE),
        _hound_coat(RUST, TAN, 0.25, blaze=WHITE),
        _hound_coat(CHOCOLATE, TAN, 0.15),
    ),
    "bernese_mountain_dog": (
        _tri_coat(0.8, brow=RUST, cheek=RUST, leg=RUST),
        _tri_coat(0.2, brow=RUST, cheek=INK, leg=TAN),
    ),
    "border_collie": (
        _tri_coat(0.55, neck=WHITE, leg=WHITE),
        _tri_coat(0.25, brow=RUST, cheek=RUST, leg=WHITE, neck=WHITE),
        Coat(
            CHOCOLATE,
            {
                "chest": WHITE,
                "paw": WHITE,
                "blaze": WHITE,
                "muzzle": WHITE,
                "neck": WHITE,
                "leg": WHITE,
                "tip": WHITE,
            },
            0.2,
        ),
    ),
    "boxer": (
        _masked_coat(FAWN, 0.4, chest=WHITE, paw=WHITE),
        _masked_coat(RUST, 0.4, chest=WHITE, paw=WHITE, blaze=WHITE),
        _masked_coat(SABLE, 0.2, chest=WHITE, paw=WHITE, blaze=WHITE),
    ),
    "bullmastiff": (
        _masked_coat(FAWN, 0.45, ear=SABLE),
        _masked_coat(RUST, 0.35, ear=CHOCOLATE),
        _masked_coat(SABLE, 0.2, ear=INK),
    ),
    "golden_retriever": (
        _plain_coat(GOLD, BUTTER, 0.5),
        _plain_coat(HONEY, GOLD, 0.3),
        _plain_coat(BUTTER, CREAM, 0.2),
    ),
    "husky": (
        _sled_coat(STEEL, 0.45, eye=BLUE_EYE, blaze=WHITE),
        _sled_coat(CHARCOAL, 0.35, eye=BLUE_EYE, blaze=WHITE),
        _sled_coat(SABLE, 0.2, eye=AMBER, blaze=WHITE),
    ),
    "labrador_retriever": (
        _plain_coat(BUTTER, CREAM, 0.4),
        _plain_coat(GOLD, BUTTER, 0.25),
        _plain_coat(CHOCOLATE, SABLE, 0.15),
        _plain_coat(INK, INK, 0.2),
    ),
    "newfoundland": (_plain_coat(INK, INK, 0.7), _plain_coat(CHOCOLATE, CHOCOLATE, 0.3)),
    "papillon": (
        Coat(WHITE, {"ear": RUST, "mask": RUST, "back": RUST, "blaze": WHITE}, 0.6),
        Coat(WHITE, {"ear": INK, "mask": INK, "blaze": WHITE}, 0.4),
    ),
    "pointer": (
        Coat(WHITE, {"skull": CHOCOLATE, "cheek": CHOCOLATE, "ear": CHOCOLATE, "spot": CHOCOLATE}, 0.6, 0.6),
        Coat(WHITE, {"skull": INK, "cheek": INK, "ear": INK, "spot": INK}, 0.4, 0.6),
    ),
    "pomeranian": (_plain_coat(ORANGE, CREAM, 0.7), _plain_coat(CREAM, WHITE, 0.3)),
    "pug": (_masked_coat(CREAM, 0.8, ear=INK, mask=INK), _plain_coat(INK, INK, 0.2)),
    "rottweiler": (Coat(INK, {"muzzle": RUST, "brow": RUST, "leg": RUST, "paw": RUST, "chest": RUST}),),
    "saint_bernard": (
        Coat(
            WHITE,
            {
                "back": RUST,
                "skull": RUST,
                "mask": INK,
                "ear": CHOCOLATE,
                "blaze": WHITE,
                "tail": RUST,
                "tip": WHITE,
            },
        ),
    ),
    "samoyed": (_plain_coat(WHITE, WHITE, 0.8), _plain_coat(CREAM, WHITE, 0.2)),
    "shiba_inu": (
        Coat(ORANGE, dict.fromkeys(("belly", "chest", "cheek", "muzzle", "brow", "tip"), CREAM), 0.75),
        Coat(
            INK,
            {
                "belly": CREAM,
                "chest": CREAM,
                "cheek": TAN,
                "muzzle": CREAM,
                "brow": TAN,
                "leg": TAN,
                "paw": CREAM,
            },
            0.25,
        ),
    ),
    "welsh_corgi": (Coat(ORANGE, dict.fromkeys(("belly", "chest", "muzzle", "paw", "blaze", "neck"), WHITE)),),
}
