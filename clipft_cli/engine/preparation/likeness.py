"""Which pictures show the same: saved again, made smaller, a little brighter, turned or mirrored.

A perceptual hash alone also joins flat or merely similar pictures, so a pair counts only where the thumbnails agree
too and, unturned, a second hash. What is not found: a picture cut to a part of itself, unless hardly anything is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .checks import Picture

_CANDIDATES = 1 << 20
"""Pairs looked at together: bounds the memory, however many pictures are alike."""

_LOOKS = 4_096
_BLOCK = 512
"""Thumbnails that are made floating-point numbers at a time."""

_DHASH_SLACK = 2
_HASH_BITS = 64
MIN_CORRELATION = 0.97
FLAT = 3.0
"""Below this standard deviation of its thumbnail (of 255) a picture is flat, and correlation means nothing."""

TURNINGS = tuple((transposed, down, across) for transposed in (False, True) for down in (1, -1) for across in (1, -1))
"""The eight ways to lay a picture: are rows and columns swapped, -1: upside down, -1: mirrored. The first is none."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures by their positions, `first` < `second`, in that order; all arrays (P,)."""

    first: np.ndarray
    second: np.ndarray
    is_turned: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def at(self, chosen: np.ndarray) -> Pairs:
        """Those pairs that `chosen`, a mask or positions, picks."""
        return Pairs(self.first[chosen], self.second[chosen], self.is_turned[chosen])


def near_pairs(pictures: Sequence[Picture], distance: int) -> Pairs:
    """Every pair that shows the same picture in one of the eight turnings.

    `distance`: bits that two perceptual hashes of 64 may differ by.
    """
    if len(pictures) < 2:
        return _pairs_of([])
    looks = _Looks.of(pictures)
    frequencies = np.stack([picture.frequencies for picture in pictures])  # (N, 8, 8)
    found = []
    for number, turning in enumerate(TURNINGS):
        turned = looks.phashes if number == 0 else turned_hashes(frequencies, turning)
        for i, j in close_pairs(looks.phashes, turned, distance):
            same = looks.same(i, j, distance) if number == 0 else looks.same_when_turned(i, j, turning)
            found.append((i[same], j[same], np.full(int(same.sum()), number > 0)))
    return _pairs_of(found)


def _pairs_of(found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Pairs:
    """In order, each pair once: as it lies, where it is found that way too."""
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    first, second, is_turned = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((is_turned, second, first))
    first, second, is_turned = first[order], second[order], is_turned[order]
    is_new = np.ones(len(first), bool)
    is_new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Pairs(first[is_new], second[is_new], is_turned[is_new])


def turned_hashes(frequencies: np.ndarray, turning: tuple[bool, int, int]) -> np.ndarray:
    """(N,) uint64: the perceptual hashes the turned pictures have, from their lowest frequencies (N, 8, 8).

    Mirroring changes the sign of the odd cosine terms, and swapping rows and columns swaps the frequencies.
    """
    transposed, down, across = turning
    turned = frequencies.transpose(0, 2, 1) if transposed else frequencies
    signs = np.power(down, np.arange(8))[:, None] * np.power(across, np.arange(8))[None]  # (8, 8)
    flat = (turned * signs).reshape(len(frequencies), -1)
    bits = np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)  # (N, 8)
    return np.ascontiguousarray(bits).view(">u8").astype(np.uint64)[:, 0]


def close_pairs(hashes: np.ndarray, others: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of (i, j), i < j, where hashes[i] and others[j], both (N,) uint64, differ in at most `distance` bits.

    Of distance + 1 parts of a hash, one must be equal: only pictures that share a part are compared (Norouzi et al.
    2012, multi-index hashing), which takes seconds where all pairs of 50,000 would take a minute.
    """
    edges = np.linspace(0, _HASH_BITS, distance + 2).round().astype(int)
    masks = [np.uint64(((1 << int(high - low)) - 1) << int(low)) for low, high in pairwise(edges)]
    for number, mask in enumerate(masks):
        for i, j in _equal_pairs(hashes & mask, others & mask):
            differing = hashes[i] ^ others[j]
            near = np.bitwise_count(differing) <= distance
            for earlier in masks[:number]:  # found by that part already
                near &= (differing & earlier) != 0
            if near.any():
                yield i[near], j[near]


def _equal_pairs(keys: np.ndarray, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of (i, j), i < j, where keys[i] == others[j]."""
    order = np.argsort(others, kind="stable")
    ordered = others[order]
    low, high = np.searchsorted(ordered, keys, "left"), np.searchsorted(ordered, keys, "right")
    ends = np.cumsum(high - low)
    start = 0
    while start < len(keys):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CANDIDATES, "right")))
        counts = high[start:stop] - low[start:stop]
        i = np.repeat(np.arange(start, stop), counts)
        offsets = np.arange(len(i)) - np.repeat(ends[start:stop] - counts - before, counts)
        j = order[np.repeat(low[start:stop], counts) + offsets]
        ahead = i < j
        yield i[ahead], j[ahead]
        start = stop


@dataclass(frozen=True)
class _Looks:
    """What is compared, for N pictures."""

    phashes: np.ndarray  # (N,) uint64
    dhashes: np.ndarray  # (N,) uint64
    thumbs: np.ndarray  # (N, 16, 16, 3) uint8
    lengths: np.ndarray  # (N, 1, 1, 1) float32, of the thumbnails without their mean colour
    is_flat: np.ndarray  # (N,) bool

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> _Looks:
        thumbs = np.stack([picture.thumb for picture in pictures])
        lengths, is_flat = np.empty(len(thumbs), np.float32), np.empty(len(thumbs), bool)
        for start in range(0, len(thumbs), _BLOCK):
            block = slice(start, start + _BLOCK)
            flat = _without_colour(thumbs[block]).reshape(len(thumbs[block]), -1)
            lengths[block], is_flat[block] = np.linalg.norm(flat, axis=1), flat.std(axis=1) <= FLAT
        return cls(
            np.array([picture.phash for picture in pictures], np.uint64),
            np.array([picture.dhash for picture in pictures], np.uint64),
            thumbs,
            np.maximum(lengths, np.float32(1e-6))[:, None, None, None],
            is_flat,
        )

    def same(self, first: np.ndarray, second: np.ndarray, distance: int) -> np.ndarray:
        """(P,) bool: which of the pairs (first, second) show one picture as it lies."""
        near = np.bitwise_count(self.dhashes[first] ^ self.dhashes[second]) <= _DHASH_SLACK * max(distance, 1)
        near[near] = self._alike(first[near], second[near], TURNINGS[0])
        return near

    def same_when_turned(self, first: np.ndarray, second: np.ndarray, turning: tuple[bool, int, int]) -> np.ndarray:
        """(P,) bool: which pairs show one picture when the second is turned. Flat ones look alike in any turning."""
        telling = ~(self.is_flat[first] | self.is_flat[second])
        telling[telling] = self._alike(first[telling], second[telling], turning)
        return telling

    def _alike(self, first: np.ndarray, second: np.ndarray, turning: tuple[bool, int, int]) -> np.ndarray:
        parts = [np.zeros(0, bool)]
        for start in range(0, len(first), _LOOKS):
            i, j = first[start : start + _LOOKS], second[start : start + _LOOKS]
            turned = _turned(self._shapes(j), turning)
            alike = np.einsum("phwc,phwc->p", self._shapes(i), turned) >= MIN_CORRELATION
            # two flat pictures agree in every hash: only their very colours can tell
            is_flat = self.is_flat[i] | self.is_flat[j]
            alike[is_flat] = (self.thumbs[i[is_flat]] == self.thumbs[j[is_flat]]).all(axis=(1, 2, 3))
            parts.append(alike)
        return np.concatenate(parts)

    def _shapes(self, chosen: np.ndarray) -> np.ndarray:
        """(P, 16, 16, 3) float32 of length 1; made anew for those asked for: all would take gigabytes."""
        return np.asarray(_without_colour(self.thumbs[chosen]) / self.lengths[chosen])


def _without_colour(thumbs: np.ndarray) -> np.ndarray:
    """Thumbnails (N, 16, 16, 3) as float32, each without its mean colour."""
    return np.asarray((thumbs - thumbs.mean(axis=(1, 2), keepdims=True)).astype(np.float32))


def _turned(images: np.ndarray, turning: tuple[bool, int, int]) -> np.ndarray:
    """Images (P, H, W, C) in one of the turnings."""
    transposed, down, across = turning
    laid = images.transpose(0, 2, 1, 3) if transposed else images
    return laid[:, ::down, ::across]
