"""Random transforms: every augmentation follows the draws alone, and crops are filtered as Pillow does."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tiny_world import augmented

from clipft_cli.engine.images.augmentations import AUGMENTATIONS
from clipft_cli.engine.images.draws import Draws
from clipft_cli.engine.images.resample import mirrored, resized_crop
from clipft_cli.engine.images.transforms import Preprocess

SIZES = [(64, 64), (97, 64), (64, 97), (33, 200), (201, 31), (640, 480), (5, 7), (1, 1), (32, 32), (31, 45), (333, 32)]
MEAN, STD = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


OWN = Preprocess((32, 32), MEAN, STD)
RANDOM = [name for name in AUGMENTATIONS if name != "none"]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", RANDOM)
def test_the_outcome_is_the_generators_alone(name):
    augmentation = augmented(name, 0.5, True)
    source = augmentation.crops.source(png(picture((60, 45))), OWN.size)
    source.setflags(write=False)  # it is kept between epochs
    views = [augmentation.pixels(source, OWN, Draws(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])
    assert {view.shape for view in views} == {(3, 32, 32)}


def test_a_whole_crop_without_flip_is_a_plain_resize():
    image = picture((64, 64))
    augmentation = augmented("standard", 1.0, False)
    views = [augmentation.pixels(np.asarray(image), OWN, Draws(seed)) for seed in range(50)]
    plain = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)
    assert min(np.abs(view - plain).max() for view in views) <= 8


def test_half_of_the_images_are_mirrored():
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:, :32] = 255
    augmentation = augmented("standard", 0.9, True)
    views = [augmentation.pixels(image, OWN, Draws(seed)) for seed in range(400)]
    n_mirrored = sum(int(view[0, 16, -1]) > int(view[0, 16, 0]) for view in views)
    assert 150 < n_mirrored < 250
    never = augmented("standard", 0.9, False)
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
    augmentation, preprocess = augmented("crop", 0.5, False), Preprocess(side, MEAN, STD)
    source = augmentation.crops.source(png(picture(size)), side)
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
@pytest.mark.parametrize("name", RANDOM)
def test_any_shape_can_be_augmented(size, name):
    augmentation = augmented(name, 0.08, True)
    view = augmentation.pixels(augmentation.crops.source(png(picture(size)), OWN.size), OWN, Draws(0))
    assert (view.shape, view.dtype) == ((3, 32, 32), np.uint8)


def test_the_kept_source_holds_the_smallest_crop_at_full_size():
    assert augmented("standard", 0.25, True).crops.source_px((32, 32)) == 64
    assert augmented("standard", 1.0, True).crops.source_px((32, 32)) == 32
    assert augmented("standard", 0.01, True).crops.source_px((32, 32)) == 64
