"""Pictures that are there twice: byte for byte, or nearly (saved again, made smaller, a little brighter).

A perceptual hash alone also joins flat or merely similar pictures, so a pair counts only where a second hash
and the thumbnails agree. What is the same picture must never be in two splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..sources.problems import Problem
from .checks import Picture

_BLOCK = 512
_PAIRS = 16_384
_DHASH_SLACK = 2
MIN_CORRELATION = 0.97
FLAT = 3.0
"""Below this standard deviation of its thumbnail (of 255) a picture is flat, and correlation means nothing."""

SAME_PICTURE_DIFFERENCE = 3.0
"""Mean difference of thumbnails (of 255) up to which two files show one picture, whatever their labels."""

_PRIORITY = {"test": 0, "val": 1, None: 2, "train": 3}


@dataclass
class Deduplicated:
    """`kept` pictures, `groups[i]` the number of the near-duplicate group picture i is in, `problems` the rest."""

    kept: list[Picture]
    groups: list[int]
    problems: list[Problem] = field(default_factory=list)


def remove_duplicates(pictures: Sequence[Picture], distance: int) -> Deduplicated:
    """Leave out exact copies, contradictions and what straddles given splits; group the near duplicates left.

    Of exact copies under one label one is kept, by preference one of test, then val. One picture under two
    labels is left out whole. Of near duplicates across given splits, the train copy (or else the val copy) goes.
    """
    problems: list[Problem] = []
    kept = _without_exact_copies(pictures, problems)
    pairs = list(near_duplicate_pairs(kept, distance))
    kept = _without_contradictions(kept, pairs, problems)
    kept = _without_straddlers(kept, pairs, problems)
    positions = {id(picture): i for i, picture in enumerate(kept)}
    joined = [(positions[id(a)], positions[id(b)]) for a, b in pairs if id(a) in positions and id(b) in positions]
    return Deduplicated(kept, connected(len(kept), joined), problems)


def _without_exact_copies(pictures: Sequence[Picture], problems: list[Problem]) -> list[Picture]:
    copies: dict[str, list[Picture]] = {}
    for picture in pictures:
        copies.setdefault(picture.sha256, []).append(picture)
    kept = []
    for same in copies.values():
        labels = sorted({picture.item.label for picture in same})
        if len(labels) > 1:
            problems += [_contradiction(p, [q for q in same if q is not p]) for p in same]
            continue
        best = min(same, key=lambda p: (_PRIORITY[p.item.split], p.item.name))
        kept.append(best)
        problems += [_copy(picture, best) for picture in same if picture is not best]
    return kept


def _copy(picture: Picture, best: Picture) -> Problem:
    across = picture.item.split != best.item.split
    reason = "copy of an image in another split" if across else "exact copy of another image"
    return Problem(picture.item.name, reason, f"same as {best.item.name}", picture.item.label)


def _contradiction(picture: Picture, others: Sequence[Picture]) -> Problem:
    named = ", ".join(f"{p.item.label}: {p.item.name}" for p in others[:3])
    return Problem(picture.item.name, "same picture under two labels", named, picture.item.label)


def _without_contradictions(
    kept: list[Picture], pairs: list[tuple[Picture, Picture]], problems: list[Problem]
) -> list[Picture]:
    gone: dict[int, tuple[Picture, list[Picture]]] = {}
    for a, b in pairs:
        if a.item.label == b.item.label:
            continue
        if _difference(a, b) <= SAME_PICTURE_DIFFERENCE:
            gone.setdefault(id(a), (a, []))[1].append(b)
            gone.setdefault(id(b), (b, []))[1].append(a)
        else:
            detail = f"like {b.item.label}: {b.item.name}"
            problems.append(
                Problem(a.item.name, "nearly the same picture under two labels", detail, a.item.label, "kept")
            )
    problems += [_contradiction(picture, others) for picture, others in gone.values()]
    return [picture for picture in kept if id(picture) not in gone]


def _without_straddlers(
    kept: list[Picture], pairs: list[tuple[Picture, Picture]], problems: list[Problem]
) -> list[Picture]:
    """Near duplicates in two given splits: the copy in the less protected split goes."""
    present = {id(picture) for picture in kept}
    for a, b in pairs:
        splits = (a.item.split, b.item.split)
        if None in splits or splits[0] == splits[1] or not {id(a), id(b)} <= present:
            continue
        stays, goes = sorted((a, b), key=lambda p: _PRIORITY[p.item.split])
        present.discard(id(goes))
        detail = f"like {stays.item.name}"
        problems.append(Problem(goes.item.name, "near copy of an image in another split", detail, goes.item.label))
    return [picture for picture in kept if id(picture) in present]


def near_duplicate_pairs(pictures: Sequence[Picture], distance: int) -> Iterator[tuple[Picture, Picture]]:
    """Pairs whose perceptual hashes differ in at most `distance` bits, and whose second hash and thumbnails agree."""
    if not pictures:
        return
    phashes = np.array([picture.phash for picture in pictures], np.uint64)  # (N,)
    looks = _Looks.of(pictures)
    for start in range(0, len(pictures), _BLOCK):
        block = phashes[start : start + _BLOCK, None] ^ phashes[None, start:]  # (block, N - start)
        first, second = np.nonzero(np.bitwise_count(block) <= distance)
        ahead = first < second
        first, second = first[ahead] + start, second[ahead] + start
        for i, j in looks.same(first, second, distance):
            yield pictures[i], pictures[j]


@dataclass(frozen=True)
class _Looks:
    """What is compared beside the perceptual hash, for N pictures: many alike make millions of pairs."""

    dhashes: np.ndarray  # (N,) uint64
    shapes: np.ndarray  # (N, 768) float32, thumbnails without their mean colour, of length 1
    thumbs: np.ndarray  # (N, 768) uint8
    is_flat: np.ndarray  # (N,) bool

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> _Looks:
        thumbs = np.stack([picture.thumb for picture in pictures])  # (N, 16, 16, 3)
        shapes = thumbs - thumbs.mean(axis=(1, 2), keepdims=True)
        flat = shapes.reshape(len(shapes), -1).astype(np.float32)
        lengths = np.linalg.norm(flat, axis=1, keepdims=True)
        return cls(
            np.array([picture.dhash for picture in pictures], np.uint64),
            flat / np.maximum(lengths, 1e-6),
            thumbs.reshape(len(thumbs), -1),
            flat.std(axis=1) <= FLAT,
        )

    def same(self, first: np.ndarray, second: np.ndarray, distance: int) -> Iterator[tuple[int, int]]:
        """Those of the pairs (first, second), both (P,), that show one picture."""
        near = np.bitwise_count(self.dhashes[first] ^ self.dhashes[second]) <= _DHASH_SLACK * max(distance, 1)
        first, second = first[near], second[near]
        for start in range(0, len(first), _PAIRS):
            i, j = first[start : start + _PAIRS], second[start : start + _PAIRS]
            alike = np.einsum("pk,pk->p", self.shapes[i], self.shapes[j]) >= MIN_CORRELATION
            # two flat pictures agree in every hash: only their very colours can tell
            is_flat = self.is_flat[i] | self.is_flat[j]
            alike[is_flat] = (self.thumbs[i[is_flat]] == self.thumbs[j[is_flat]]).all(axis=1)
            yield from zip(i[alike].tolist(), j[alike].tolist(), strict=True)


def _difference(a: Picture, b: Picture) -> float:
    return float(np.abs(a.thumb.astype(np.int16) - b.thumb).mean())


def connected(n: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The number of the connected group each of n things is in, given the pairs that belong together."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(i) for i in range(n)]
