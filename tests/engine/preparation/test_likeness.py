from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from seen_pictures import photo, seen
from small_pictures import picture

from clipft_cli.engine.preparation.checks import Picture
from clipft_cli.engine.preparation.likeness import TURNINGS, close_pairs, near_pairs, turned_hashes


def found(pictures: list[Picture], distance: int = 4) -> list[tuple[int, int, bool]]:
    pairs = near_pairs(pictures, distance)
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.is_turned.tolist(), strict=True))


def test_a_picture_saved_again_made_smaller_or_brighter_is_found(tmp_path: Path) -> None:
    original = seen(tmp_path, "a.png", photo())
    variants = [
        seen(tmp_path, "b.jpg", photo(), quality=50),
        seen(tmp_path, "c.png", photo().resize((160, 120))),
        seen(tmp_path, "d.png", ImageEnhance.Brightness(photo()).enhance(0.9)),
    ]
    for variant in variants:
        assert found([original, variant]) == [(0, 1, False)]


@pytest.mark.parametrize("turning", list(Image.Transpose), ids=lambda turning: turning.name)
def test_a_turned_or_mirrored_copy_is_found(tmp_path: Path, turning: Image.Transpose) -> None:
    original = seen(tmp_path, "a.png", photo())
    assert found([original, seen(tmp_path, "b.jpg", photo().transpose(turning), quality=80)]) == [(0, 1, True)]


def test_the_hash_of_a_turned_picture_is_known_without_turning_it(tmp_path: Path) -> None:
    image = picture(3, (64, 64))
    frequencies = seen(tmp_path, "a.png", image).frequencies[None]
    for transposed, down, across in TURNINGS:
        pixels = np.asarray(image).transpose(1, 0, 2) if transposed else np.asarray(image)
        turned = Image.fromarray(np.ascontiguousarray(pixels[::down, ::across]))
        expected = seen(tmp_path, "turned.png", turned).phash
        assert int(turned_hashes(frequencies, (transposed, down, across))[0]) == expected


def test_flat_pictures_of_different_colours_are_not_duplicates(tmp_path: Path) -> None:
    assert found([seen(tmp_path, f"{i}.png", Image.new("RGB", (32, 32), (i * 8, 100, 90))) for i in range(20)]) == []


def test_different_pictures_are_not_duplicates(tmp_path: Path) -> None:
    assert found([seen(tmp_path, f"{i}.png", picture(i, (64, 64))) for i in range(60)]) == []


@pytest.mark.parametrize("distance", [0, 1, 4, 9, 16])
def test_the_fast_search_finds_exactly_the_pairs_that_are_close(distance: int) -> None:
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 2**63, 120, dtype=np.uint64)
    others = hashes.copy()
    for i in range(120):  # others are a few bits away from the hash before them
        for bit in rng.integers(0, 64, int(rng.integers(0, 20))):
            others[i] = hashes[i - 1] ^ (np.uint64(1) << np.uint64(bit))
            hashes[i] ^= np.uint64(1) << np.uint64(bit)
    quick = [
        pair for i, j in close_pairs(hashes, others, distance) for pair in zip(i.tolist(), j.tolist(), strict=True)
    ]
    slow = [(i, j) for i in range(120) for j in range(i + 1, 120) if int(hashes[i] ^ others[j]).bit_count() <= distance]
    assert sorted(quick) == slow
    assert slow or distance < 2
