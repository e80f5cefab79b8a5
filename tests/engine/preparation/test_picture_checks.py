from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prepare_cases import config, folders

from clipft_cli.engine.prepare import prepare


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders(Path("set"), 5)


def noise(seed: int = 3, shape: tuple[int, ...] = (48, 48, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def grey(level: int) -> Image.Image:
    return Image.fromarray(np.full((48, 48, 3), level, np.uint8))


def see_through() -> Image.Image:
    return Image.fromarray(noise(4, (48, 48, 4)))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (grey(4), "black or nearly so"),
        (grey(250), "white or nearly so"),
        (grey(120), "of one colour"),
        (see_through(), "transparent in places"),
        (Image.fromarray(noise(5, (12, 40, 3))), "less than 32 pixels"),
        (Image.fromarray(noise(6, (40, 500, 3))), "more than 8 times as long as wide"),
    ],
)
def test_a_picture_that_may_not_be_what_it_seems_is_said(image: Image.Image, said: str) -> None:
    image.save("set/cat/odd.png")
    warned = [text for text in prepare(config(source="set")).warnings if "such as cat/odd.png" in text]
    assert [said in text for text in warned] == [True]
    assert warned[0].startswith("1 image is ")


@pytest.mark.parametrize("name", ["pages.tif", "moves.gif"])
def test_pages_and_frames_after_the_first_are_said_to_be_left(name: str) -> None:
    pages = [Image.fromarray(noise(seed)) for seed in (7, 8, 9)]
    pages[0].save(Path("set/cat") / name, save_all=True, append_images=pages[1:])
    assert any("of several pages or frames" in text for text in prepare(config(source="set")).warnings)


def test_photographs_are_not_warned_of() -> None:
    assert prepare(config(source="set")).warnings == []


def deep(bits: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 2**bits, (6, 6)).astype(np.uint16)
    coarse[0, 0] = 2**bits - 1
    return Image.fromarray(np.kron(coarse, np.ones((8, 8), np.uint16)))


def test_values_of_twelve_bits_in_sixteen_are_said_with_what_is_white() -> None:
    for i in range(3):
        deep(12, i).save(f"set/cat/deep{i}.png")
    warned = prepare(config(source="set")).warnings
    assert warned == ["3 images use 12 bits of 16, a 12-bit range: 4,095 is white (such as cat/deep0.png)"]


def test_different_ranges_in_one_data_set_are_said() -> None:
    deep(10, 0).save("set/cat/deep0.png")
    deep(12, 1).save("set/cat/deep1.tif")
    Image.fromarray(np.float32(deep(8, 2)) - 100).save("set/dog/ct.tif")
    (warned,) = prepare(config(source="set")).warnings
    assert "different ranges (1 of a range of their own, 1 of 10 bits, 1 of 12 bits)" in warned
