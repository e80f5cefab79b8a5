"""What is kept of each image is small, and what is made of all of them at once is not: a million images must fit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from clipft_cli.engine.preparation.checks import Picture, look_at_all
from clipft_cli.engine.preparation.duplicates import remove_duplicates
from clipft_cli.engine.preparation.picture_checks import warn_about_pictures
from clipft_cli.engine.sources.listing import Item

N_FILES = 1_000
N_PICTURES = 6_000


@contextmanager
def allocated() -> Iterator[list[int]]:
    """[bytes held at the end, most bytes held]"""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found += tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def test_an_image_that_was_looked_at_takes_two_kilobytes(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "image.png")
    items = [Item(tmp_path / "image.png", f"{n}.png", "cat") for n in range(N_FILES)]
    look_at_all(items[:10], lambda done, total: None)  # what is loaded once
    with allocated() as found:
        pictures, problems = look_at_all(items, lambda done, total: None)
    assert (len(pictures), problems) == (N_FILES, [])
    held, most = found
    assert held / N_FILES < 2_500
    assert most / N_FILES < 3_500


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Picture]:
    """No two of them alike."""
    rng = np.random.default_rng(1)
    thumbs = rng.integers(0, 256, (N_PICTURES, 16, 16, 3), dtype=np.uint8)
    frequencies = rng.normal(size=(N_PICTURES, 8, 8)).astype(np.float32)
    hashes = rng.integers(0, 2**64, (N_PICTURES, 2), dtype=np.uint64).tolist()
    file = tmp_path_factory.mktemp("pictures") / "image.png"
    return [
        Picture(Item(file, f"{n}.png", "cat"), f"{n:064x}", 1, 99, 99, *hashes[n], thumbs[n], frequencies[n])
        for n in range(N_PICTURES)
    ]


def test_looking_for_copies_takes_three_kilobytes_a_picture(pictures):
    with allocated() as found:
        kept = remove_duplicates(pictures, 4)
    assert len(kept.kept) == N_PICTURES
    assert found[1] / N_PICTURES < 3_500  # a thumbnail of floating-point numbers alone takes 3,072


def test_looking_for_what_shows_nothing_takes_no_memory_to_speak_of(pictures):
    warnings: list[str] = []
    with allocated() as found:
        warn_about_pictures(pictures, warnings)
    assert warnings == []
    assert found[1] / N_PICTURES < 1_000
