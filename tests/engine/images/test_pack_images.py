"""Decoded images in a file: the same pixels, never of a damaged, stale or half-written file, or done without."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import filelock
import numpy as np
import pytest
from tiny_world import augmented, write_colours

from clipft_cli.config.data import AugmentationName
from clipft_cli.engine.files.cache_files import CacheFiles
from clipft_cli.engine.images import dataset as dataset_module
from clipft_cli.engine.images import pack_images
from clipft_cli.engine.images.augmentations import Augmentation
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.pack_images import Telling, keep_decoded
from clipft_cli.engine.images.transforms import Preprocess

PREPROCESS = Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3)
STANDARD = augmented("standard", 0.5, True)


class Heard(list):
    """What was said, as (text, is_warning)."""

    def telling(self, check=lambda: None) -> Telling:
        return Telling(lambda text, is_warning: self.append((text, is_warning)), lambda *done: None, check)

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of packed images; no data set is too small for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pack_images, "WORTH_A_FILE", 0)
    monkeypatch.setattr(dataset_module, "RETRY_SECONDS", 0.0)
    return tmp_path / "cache" / "clipft" / "images"


@pytest.fixture
def manifest(tmp_path):
    return write_colours(tmp_path / "colours", {"train": 6, "val": 2})


def train_set(manifest, cache_gb: float = 1.0, augmentation: Augmentation | None = STANDARD) -> ImageDataset:
    rows = manifest.split("train")
    return ImageDataset(manifest, rows, PREPROCESS, augmentation=augmentation, cache_gb=cache_gb, max_bad_share=1.0)


def packed(manifest, heard: Heard | None = None, **settings) -> ImageDataset:
    images = train_set(manifest, **settings)
    keep_decoded({"train": images}, 2, (heard if heard is not None else Heard()).telling())
    return images


def views(images: ImageDataset) -> np.ndarray:
    return np.stack([images.train_pixels(index, epoch) for epoch in range(2) for index in range(len(images))])


def the_file(cache: Path) -> Path:
    (path,) = cache.glob("*.pixels")
    return path


@pytest.mark.parametrize("name", get_args(AugmentationName))
def test_pixels_are_the_same_with_and_without_the_file(manifest, cache, name):
    augmentation = augmented(name, 0.3, True)
    plain = views(train_set(manifest, cache_gb=0, augmentation=augmentation))
    written, heard = packed(manifest, augmentation=augmentation), Heard()
    read = packed(manifest, heard, augmentation=augmentation)
    assert np.array_equal(views(written), plain)
    assert np.array_equal(views(read), plain)
    assert heard == []  # nothing is written a second time
    assert len(read._pack) == 18
    assert read._cache == {}


def test_nothing_is_decoded_a_second_time(manifest, cache, monkeypatch):
    plain = views(packed(manifest))
    images = packed(manifest)
    monkeypatch.setattr(ImageDataset, "_read", None)
    assert np.array_equal(views(images), plain)


def test_another_rule_for_pixels_or_other_images_are_another_file(manifest, cache):
    packed(manifest)
    packed(manifest, augmentation=augmented("standard", 0.9, True))
    packed(manifest, augmentation=augmented("none", 1, False))
    packed(manifest, augmentation=augmented("crop", 1, False))
    assert len(list(cache.glob("*.pixels"))) == 4


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[:-200]
    elif how == "empty":
        content = bytearray()
    elif how == "end":
        content[-100] ^= 1
    elif how == "entries":
        content[-300] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "empty", "end", "entries"])
def test_a_damaged_file_is_not_opened_and_made_anew(manifest, cache, how):
    plain = views(train_set(manifest, cache_gb=0))
    packed(manifest)
    damage(the_file(cache), how)
    heard = Heard()
    images = packed(manifest, heard)
    assert "is damaged" in heard[0][0]
    assert heard[0][1]
    assert "18 images decoded" in heard[1][0]
    assert np.array_equal(views(images), plain)
    heard.clear()
    packed(manifest, heard)
    assert heard == []


def test_damaged_pixels_are_never_served_and_the_file_is_gone(manifest, cache):
    plain = views(train_set(manifest, cache_gb=0))
    packed(manifest)
    path = the_file(cache)
    content = bytearray(path.read_bytes())
    content[1000] ^= 4
    content[9000] = (content[9000] + 1) % 256
    path.write_bytes(content)
    heard = Heard()
    images = packed(manifest, heard)
    assert np.array_equal(views(images), plain)
    assert heard == [(f"{path}: is damaged; what is damaged is decoded anew, and the file with the next run", True)]
    assert not path.exists()


def test_a_deleted_image_and_a_replaced_one_are_noticed(manifest, cache):
    packed(manifest)
    rows = manifest.split("train")
    manifest.file(rows[2]).unlink()
    replaced = manifest.file(rows[6])  # a JPEG
    status, content = replaced.stat(), bytearray(replaced.read_bytes())
    content[15] ^= 1  # its dots per inch: as long as before, and as old
    replaced.write_bytes(content)
    os.utime(replaced, ns=(status.st_atime_ns, status.st_mtime_ns))
    plain, images = train_set(manifest, cache_gb=0), packed(manifest)
    assert np.array_equal(views(images), views(plain))
    assert images.bad_as_json() == plain.bad_as_json()
    assert {index: bad.reason for index, bad in images.bad.items()} == {
        2: "file not found",
        6: "another image than the one prepared",
    }


def test_an_image_that_was_only_touched_is_still_read_from_the_file(manifest, cache, monkeypatch):
    plain = views(packed(manifest))
    for row in manifest.split("train"):
        os.utime(manifest.file(row))
    images = packed(manifest)
    monkeypatch.setattr(ImageDataset, "_read", None)
    assert np.array_equal(views(images), plain)


def test_an_image_that_was_bad_at_first_and_is_back_is_read(manifest, cache):
    plain = views(train_set(manifest, cache_gb=0))
    path = manifest.file(manifest.split("train")[2])
    content = path.read_bytes()
    path.unlink()
    packed(manifest)
    path.write_bytes(content)
    assert np.array_equal(views(packed(manifest)), plain)


def test_an_image_that_a_run_has_replaced_stays_replaced_when_it_is_back(manifest, cache):
    known = [[2, "train/blue/blue-02.jpg", "file not found", "train/blue/blue-03.jpg"]]
    plain, images = train_set(manifest, cache_gb=0), packed(manifest)
    for resumed in (plain, images):
        resumed.add_bad(known)
    assert np.array_equal(views(images), views(plain))


def test_what_does_not_fit_is_decoded_and_a_larger_limit_makes_the_file_anew(manifest, cache):
    plain, heard = views(train_set(manifest, cache_gb=0)), Heard()
    size = train_set(manifest).decoded(0).nbytes
    images = packed(manifest, heard, cache_gb=5.5 * size / 2**30)
    assert 0 < len(images._pack) < 18
    assert f"{len(images._pack)} of 18 images" in heard.text
    assert the_file(cache).stat().st_size <= 5.5 * size + 2000
    assert np.array_equal(views(images), plain)
    assert len(packed(manifest, heard)._pack) == 18


def test_the_files_not_used_for_longest_make_room(manifest, cache):
    for scale in (0.5, 0.6, 0.7):
        packed(manifest, augmentation=augmented("standard", scale, True))
    for age, path in enumerate(sorted(cache.glob("*.pixels"))):
        os.utime(path, (time.time() - 100 + age,) * 2)
    first, *others = sorted(cache.glob("*.pixels"))
    whole = sum(path.stat().st_size for path in cache.glob("*.pixels"))
    CacheFiles(cache, ".pixels", 32).make_room(whole - 1, [others[0]])
    assert sorted(cache.glob("*.pixels")) == others
    CacheFiles(cache, ".pixels", 32).make_room(0, [others[0]])
    assert sorted(cache.glob("*.pixels")) == others[:1]
    assert first not in others


def test_a_small_data_set_stays_in_memory(manifest, cache, monkeypatch):
    monkeypatch.setattr(pack_images, "WORTH_A_FILE", 256 << 20)
    images = packed(manifest)
    views(images)
    assert not cache.exists()
    assert len(images._cache) == 18


def test_a_folder_that_cannot_be_written_is_said_once_and_done_without(manifest, cache):
    plain, heard = views(train_set(manifest, cache_gb=0)), Heard()
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    images = packed(manifest, heard)
    assert heard == [(f"{cache}: decoded images cannot be kept there (File exists); the run goes on without", True)]
    assert np.array_equal(views(images), plain)
    assert len(images._cache) == 18


def test_a_full_disk_is_said_once_and_done_without(manifest, cache, monkeypatch):
    plain, heard = views(train_set(manifest, cache_gb=0)), Heard()
    monkeypatch.setattr(pack_images, "RESERVE", 2**62)
    images = packed(manifest, heard)
    assert heard == [
        (f"{cache}: decoded images cannot be kept there (the disk is full); the run goes on without", True)
    ]
    assert np.array_equal(views(images), plain)
    assert not list(cache.glob("*.pixels"))


def test_a_write_that_fails_leaves_nothing_behind(manifest, cache, tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root")
    cache.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(cache)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    heard, images = Heard(), train_set(manifest)
    try:
        pack_images.RESERVE, reserve = -(2**40), pack_images.RESERVE
        keep_decoded({"train": images}, 2, heard.telling())
        left = [path.name for path in cache.iterdir() if path.suffix != ".lock"]
    finally:
        pack_images.RESERVE = reserve
        subprocess.run(["umount", str(cache)], capture_output=True, check=False)
    assert left == []
    assert "(No space left on device); the run goes on without" in heard.text
    assert np.array_equal(views(images), views(train_set(manifest, cache_gb=0)))


def test_while_another_process_writes_a_run_decodes_for_itself(manifest, cache):
    plain = views(train_set(manifest, cache_gb=0))
    packed(manifest)
    path = the_file(cache)
    path.unlink()
    heard = Heard()
    with filelock.FileLock(path.with_suffix(".lock")):
        images = packed(manifest, heard)
    assert heard == [("another process is decoding train for all; this run decodes it for itself", False)]
    assert not path.exists()
    assert np.array_equal(views(images), plain)


def test_a_stop_in_between_leaves_nothing_behind(manifest, cache):
    class Enough(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise Enough

    with pytest.raises(Enough):
        keep_decoded({"train": train_set(manifest)}, 2, Heard().telling(check))
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


KILLED = """
import os, signal, sys
from pathlib import Path
from clipft_cli.engine.images import pack_images
from clipft_cli.engine.manifest import read_manifest
sys.path.insert(0, {here!r})
import test_pack_images as test
pack_images.WORTH_A_FILE = 0
calls = []
def check():
    calls.append(1)
    if len(calls) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
test.keep_decoded({{"train": test.train_set(read_manifest(Path({root!r})))}}, 1, test.Heard().telling(check))
"""


def test_a_killed_process_leaves_no_file_and_its_rest_is_swept(manifest, cache, tmp_path):
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, str(Path(here).parents[1]), *sys.path])}
    script = KILLED.format(here=here, root=str(manifest.root))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(cache.glob(".*.tmp"))) == 1
    assert not list(cache.glob("*.pixels"))
    images = packed(manifest)
    assert not list(cache.glob(".*.tmp"))
    assert np.array_equal(views(images), views(train_set(manifest, cache_gb=0)))
