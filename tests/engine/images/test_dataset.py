"""A split as pixels: the same for every worker and cache, and a stand-in where an image has gone."""

from __future__ import annotations

import builtins
import errno
import os

import numpy as np
import pytest
from tiny_world import augmented, write_colours

from clipft_cli.engine.images import dataset as module
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.decode import decode_image, decode_reduced
from clipft_cli.engine.images.draws import Draws
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.errors import DataError

PREPROCESS = Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3)
STANDARD = augmented("standard", 0.5, True)


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    return write_colours(tmp_path / "colours", {"train": 6, "val": 2})


def train_set(manifest, **settings) -> ImageDataset:
    settings = {"augmentation": STANDARD, "max_bad_share": 1.0, **settings}
    return ImageDataset(manifest, manifest.split("train"), PREPROCESS, **settings)


def test_labels_and_rows_are_the_manifests(manifest):
    dataset = train_set(manifest)
    assert len(dataset) == 18
    assert dataset.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6


def test_evaluation_pixels_are_the_models_own_transform(manifest):
    dataset = ImageDataset(manifest, manifest.split("val"), PREPROCESS)
    for index, row in enumerate(dataset.rows):
        assert np.array_equal(dataset.eval_pixels(index), PREPROCESS.pixels(decode_image(manifest.file(row))))


def test_augmentation_is_a_function_of_seed_epoch_and_index(manifest):
    some, same = train_set(manifest, seed=3), train_set(manifest, seed=3)
    for index in reversed(range(18)):
        same.train_pixels(index, 1)
    assert all(np.array_equal(some.train_pixels(i, 1), same.train_pixels(i, 1)) for i in range(18))
    assert not np.array_equal(some.train_pixels(0, 1), some.train_pixels(0, 2))
    assert not np.array_equal(some.train_pixels(0, 1), train_set(manifest, seed=4).train_pixels(0, 1))


@pytest.mark.parametrize("augmentation", [STANDARD, augmented("strong", 0.3, True), augmented("none", 1, False)])
@pytest.mark.parametrize("cache_gb", [1.0, 12e3 / 2**30])
def test_the_cache_changes_no_pixel(manifest, augmentation, cache_gb):
    plain, cached = (train_set(manifest, augmentation=augmentation, cache_gb=gb) for gb in (0.0, cache_gb))
    for epoch in range(2):
        for index in range(18):
            assert np.array_equal(plain.train_pixels(index, epoch), cached.train_pixels(index, epoch))
    for index in range(18):
        assert np.array_equal(plain.eval_pixels(index), cached.eval_pixels(index))


def test_the_cache_keeps_to_its_size(manifest):
    dataset = train_set(manifest, augmentation=augmented("none", 1, False), cache_gb=7 * 3 * 32 * 32 / 2**30)
    for index in range(18):
        dataset.eval_pixels(index)
    assert len(dataset._cache) == 7


@pytest.mark.parametrize("fault", ["deleted", "truncated", "text"])
def test_a_bad_image_is_replaced_by_the_next_of_its_class(manifest, fault):
    dataset, whole = train_set(manifest), train_set(manifest)
    source = decode_reduced(manifest.file(whole.rows[8]).read_bytes(), STANDARD.crops.source_px((32, 32)))
    expected = STANDARD.pixels(source, PREPROCESS, Draws(0, 5, 7))
    break_file(manifest.file(dataset.rows[7]), fault)
    assert np.array_equal(dataset.train_pixels(7, 5), expected)
    assert list(dataset.bad) == [7]
    assert dataset.bad[7].path == dataset.rows[7].path
    assert dataset.bad[7].stand_in == dataset.rows[8].path


def break_file(path, fault: str) -> None:
    if fault == "deleted":
        path.unlink()
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        path.write_text("no image any more")


def test_the_stand_in_wraps_round_within_the_class(manifest):
    dataset = train_set(manifest)
    for index in (5, 0):
        manifest.file(dataset.rows[index]).unlink()
    dataset.train_pixels(5, 0)
    assert dataset.bad[5].stand_in == dataset.rows[1].path


def test_the_stand_in_does_not_depend_on_what_was_read_before(manifest):
    some, others = train_set(manifest), train_set(manifest)
    for index in (2, 3):
        manifest.file(some.rows[index]).unlink()
    forward = [some.train_pixels(i, 0) for i in range(6)]
    backward = [others.train_pixels(i, 0) for i in reversed(range(6))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))


def test_above_the_share_the_run_stops_with_the_list(manifest):
    dataset = train_set(manifest, max_bad_share=0.12)  # 2 of 18
    for index in (0, 6, 12):
        manifest.file(dataset.rows[index]).write_bytes(b"")
    dataset.train_pixels(0, 0)
    dataset.train_pixels(6, 0)
    with pytest.raises(DataError) as caught:
        dataset.train_pixels(12, 0)
    assert caught.value.message == (
        "3 of 18 images cannot be read any more (train/blue/blue-00.jpg: empty file;"
        " train/green/green-00.jpg: empty file; train/red/red-00.jpg: empty file)"
    )


def test_a_share_of_zero_stops_at_the_first(manifest):
    dataset = train_set(manifest, max_bad_share=0.0)
    manifest.file(dataset.rows[0]).unlink()
    with pytest.raises(DataError, match="1 of 18 images cannot be read any more"):
        dataset.train_pixels(0, 0)


def test_a_class_without_any_readable_image_stops_the_run(manifest):
    dataset = train_set(manifest)
    for index in range(6):
        manifest.file(dataset.rows[index]).unlink()
    with pytest.raises(DataError, match=r"blue-00\.jpg: file not found, and its class has no other readable image"):
        dataset.train_pixels(0, 0)


def test_a_file_that_comes_back_is_waited_for(manifest, monkeypatch):
    dataset = train_set(manifest)
    path = manifest.file(dataset.rows[0])
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(module.time, "sleep", lambda seconds: path.write_bytes(content))
    dataset.train_pixels(0, 0)
    assert dataset.bad == {}


@pytest.mark.parametrize("failures", [1, 2])
def test_a_read_that_fails_and_then_works_is_no_bad_image(manifest, monkeypatch, failures):
    """A network file system lists the file and fails to give its content."""
    dataset = train_set(manifest)
    expected = dataset.train_pixels(0, 1)
    place, left = str(manifest.file(dataset.rows[0])), failures
    real = builtins.open

    def flaky(file, *rest, **named):
        nonlocal left
        if str(file) == place and left:
            left -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), place)
        return real(file, *rest, **named)

    monkeypatch.setattr(builtins, "open", flaky)
    assert np.array_equal(dataset.train_pixels(0, 1), expected)
    assert left == 0
    assert dataset.bad == {}
