"""Pixels: open_clip's own validation transform bit for bit, and random ones that follow the generator alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from clipft_cli.engine.images.draws import Draws
from clipft_cli.engine.images.resample import mirrored, resized_crop
from clipft_cli.engine.images.transforms import Augmentation, Preprocess
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


OWN = Preprocess((32, 32), MEAN, STD)


@pytest.mark.parametrize("name", ["standard", "strong"])
def test_the_outcome_is_the_generators_alone(name):
    augmentation, image = Augmentation(name, 0.5, True), np.asarray(picture((60, 45)))
    views = [augmentation.pixels(image, OWN, Draws(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])
    assert {view.shape for view in views} == {(3, 32, 32)}


def test_a_whole_crop_without_flip_is_a_plain_resize():
    image = picture((64, 64))
    augmentation = Augmentation("standard", 1.0, False)
    views = [augmentation.pixels(np.asarray(image), OWN, Draws(seed)) for seed in range(50)]
    plain = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)
    assert min(np.abs(view - plain).max() for view in views) <= 8


def test_half_of_the_images_are_mirrored():
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:, :32] = 255
    augmentation = Augmentation("standard", 0.9, True)
    views = [augmentation.pixels(image, OWN, Draws(seed)) for seed in range(400)]
    n_mirrored = sum(int(view[0, 16, -1]) > int(view[0, 16, 0]) for view in views)
    assert 150 < n_mirrored < 250
    never = Augmentation("standard", 0.9, False)
    assert not [s for s in range(50) if (v := never.pixels(image, OWN, Draws(s)))[0, 16, -1] > v[0, 16, 0]]


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("box", [(0, 0, 160, 120), (7, 3, 100, 119), (60, 40, 90, 80), (5, 5, 37, 37)], ids=str)
def test_crops_are_filtered_as_pillow_does(interpolation, box):
    smooth = picture((40, 30)).resize((160, 120), Image.Resampling.BICUBIC)
    own = resized_crop(np.asarray(smooth), box, (32, 48), interpolation)
    kind = Image.Resampling.BILINEAR if interpolation == "bilinear" else Image.Resampling.BICUBIC
    pillows = np.asarray(smooth.crop(box).resize((48, 32), kind))
    assert own.shape == (32, 48, 3)
    difference = np.abs(own.astype(int) - pillows)
    assert difference.mean() < 0.2
    assert difference.max() <= 4


@pytest.mark.parametrize("size", [(97, 64), (64, 97), (201, 31), (640, 480), (5, 7), (256, 256)], ids=str)
@pytest.mark.parametrize("side", [(32, 32), (32, 48)], ids=str)
def test_clips_own_crop_cuts_the_resized_image_and_resamples_no_more(size, side):
    buffer = io.BytesIO()
    picture(size).save(buffer, "PNG")
    augmentation, preprocess = Augmentation("crop", 0.5, False), Preprocess(side, MEAN, STD)
    source = augmentation.source(buffer.getvalue(), side)
    assert source.shape[0] >= side[0]
    assert source.shape[1] >= side[1]
    assert min(source.shape[0] / side[0], source.shape[1] / side[1]) == pytest.approx(8 / 7, abs=0.04)
    view = augmentation.pixels(source, preprocess, Draws(3)).transpose(1, 2, 0)
    assert view.shape == (*side, 3)
    places = np.lib.stride_tricks.sliding_window_view(source, (*side, 3))[:, :, 0]
    assert (places == view).all(axis=(2, 3, 4)).any()


def test_mirroring_exchanges_left_and_right():
    image = np.asarray(picture((300, 250)))
    assert np.array_equal(mirrored(image), image[:, ::-1])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["standard", "strong"])
def test_any_shape_can_be_augmented(size, name):
    view = Augmentation(name, 0.08, True).pixels(np.asarray(picture(size)), OWN, Draws(0))
    assert (view.shape, view.dtype) == ((3, 32, 32), np.uint8)


def test_the_kept_source_holds_the_smallest_crop_at_full_size():
    assert Augmentation("standard", 0.25, True).source_px((32, 32)) == 64
    assert Augmentation("standard", 1.0, True).source_px((32, 32)) == 32
    assert Augmentation("standard", 0.01, True).source_px((32, 32)) == 64
