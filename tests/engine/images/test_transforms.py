"""Pixels: open_clip's own validation transform bit for bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from clipft_cli.engine.images.crops import SquareCrops
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.errors import ModelError

SIZES = [(64, 64), (97, 64), (64, 97), (33, 200), (201, 31), (640, 480), (5, 7), (1, 1), (32, 32), (31, 45), (333, 32)]
MEAN, STD = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("side", [32, (32, 32), (32, 48), (48, 32)], ids=str)
def test_pixels_equal_open_clips_validation_transform(size, mode, interpolation, side):
    config = {"size": side, "mean": MEAN, "std": STD, "interpolation": interpolation, "resize_mode": mode}
    theirs = image_transform_v2(PreprocessCfg(**config, fill_color=7), is_train=False)(picture(size))
    own = Preprocess.from_config({**config, "fill_color": 7})
    pixels = own.pixels(picture(size))
    assert pixels.dtype == np.uint8
    expected = (theirs * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255
    assert np.array_equal(pixels, expected.round().numpy().astype(np.uint8))
    torch.testing.assert_close(own.normalise(torch.from_numpy(pixels.copy())[None])[0], theirs, rtol=1e-6, atol=1e-6)


def test_a_transform_survives_being_stored():
    own = Preprocess((32, 48), MEAN, STD, "bilinear", "longest", 3)
    assert Preprocess.from_config(own.to_json()) == own


@pytest.mark.parametrize("change", [{"interpolation": "random"}, {"resize_mode": "stretch"}])
def test_a_transform_that_is_not_built_is_refused(change):
    with pytest.raises(ModelError, match="is not supported"):
        Preprocess.from_config({"size": 32, "mean": MEAN, "std": STD, **change})


@pytest.mark.parametrize("size", [(2, 60_000), (60_000, 2), (1, 300_000)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_an_image_of_extreme_shape_takes_no_memory_to_speak_of(size: tuple[int, int], mode: str) -> None:
    preprocess = Preprocess((224, 224), (0.5,) * 3, (0.5,) * 3, resize_mode=mode)
    image = Image.new("RGB", size, (10, 20, 30))
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels = preprocess.pixels(image)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert pixels.shape == (3, 224, 224)
    assert pixels.max(axis=(1, 2)).tolist() == [10, 20, 30]


def test_the_middle_of_a_long_image_is_what_resizing_the_whole_would_give() -> None:
    ramp = np.arange(20 * 17 * 8, dtype=np.uint32).reshape(8, 340)[:, :, None] * np.array([3, 5, 7])
    image = Image.fromarray((ramp % 251).astype(np.uint8))  # 340 x 8: 42 to 1
    kept = Preprocess((16, 16), (0.5,) * 3, (0.5,) * 3).pixels(image).astype(int)
    whole = np.asarray(image.resize((680, 16), Image.Resampling.BICUBIC))[:, 332:348].transpose(2, 0, 1)
    assert np.abs(kept - whole).max() <= 1


def test_square_crops_of_an_image_of_extreme_shape_are_cut_from_its_middle() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 60_000), (10, 20, 30)).save(buffer, "PNG")
    assert SquareCrops().source(buffer.getvalue(), (32, 32)).shape == (585, 37, 3)
