"""Decoded images kept between epochs and runs, in the user's cache folder: made, found, bounded, or done without."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np

from ..files.cache_files import image_files
from ..files.write import whole_file
from ..machine.ahead import Ahead
from .dataset import ImageDataset
from .decode import ImageError
from .pixel_pack import DamagedPack, PackWriter, PixelPack, pack_key

WORTH_A_FILE = 256 << 20
"""Bytes of decoded images under which a data set is kept in memory alone: decoding it again takes a second."""

RESERVE = 1 << 30
"""Bytes of the disk that are left free."""


@dataclass(frozen=True)
class Telling:
    """How packing speaks: `note` a sentence (True: a warning), `progress` what is done of how many images; `check` is
    called in between, and may raise to stop."""

    note: Callable[[str, bool], None]
    progress: Callable[[str, int, int], None]
    check: Callable[[], None]


def keep_decoded(datasets: Mapping[str, ImageDataset], workers: int, telling: Telling) -> None:
    """Give each data set its file of decoded images, which is written where it is not there yet.

    Nothing is changed but the time a run takes: where a file cannot be had, that is said, and memory must do.
    """
    files = image_files()
    folder = files.folder
    room = sum(dataset.limit_bytes for dataset in datasets.values())
    used: list[Path] = []
    for what, dataset in datasets.items():
        if dataset.limit_bytes == 0 or dataset.expected_bytes < WORTH_A_FILE:
            continue
        key = pack_key(dataset.kept_as, [row.sha256 for row in dataset.rows])
        used.append(files.path(key))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            pack = _open(used[-1], key, dataset, telling)
            if pack is None:
                with filelock.FileLock(folder / f"{key}.lock", timeout=0):
                    files.make_room(room - min(dataset.expected_bytes, dataset.limit_bytes), used)
                    files.sweep(used[-1])
                    _write(used[-1], key, dataset, telling, what=what, workers=workers)
                    files.make_room(room, used)
                pack = _open(used[-1], key, dataset, telling)
            if pack is not None:
                os.utime(used[-1])  # the file that was not used for longest makes room first
                dataset.read_from(pack)
        except filelock.Timeout:
            telling.note(f"another process is decoding {what} for all; this run decodes it for itself", False)
        except OSError as error:
            reason = error.strerror or str(error)
            telling.note(f"{folder}: decoded images cannot be kept there ({reason}); the run goes on without", True)
            return


def _open(path: Path, key: str, dataset: ImageDataset, telling: Telling) -> PixelPack | None:
    """The file where it is whole, and holds as much as the limit of today lets it."""
    try:
        pack = PixelPack(path, key, len(dataset), lambda text: telling.note(text, True))
    except FileNotFoundError:
        return None
    except DamagedPack as error:
        telling.note(f"{path}: is damaged ({error}): the images are decoded anew", True)
        path.unlink(missing_ok=True)
        return None
    return None if pack.limit and pack.limit < dataset.limit_bytes else pack


def _write(path: Path, key: str, dataset: ImageDataset, telling: Telling, *, what: str, workers: int) -> None:
    """Raises OSError, and what `telling.check` raises; what is half written is gone then."""
    limit = min(dataset.limit_bytes, shutil.disk_usage(path.parent).free - RESERVE)
    if limit <= 0:
        raise OSError(None, "the disk is full")
    started = time.perf_counter()
    n_kept, is_cut = 0, False
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        writer = PackWriter(file, key, len(dataset), limit)
        with contextlib.closing(_decoded(dataset, workers)) as decoded:
            for index, (pixels, status) in enumerate(decoded):
                telling.check()
                if pixels is not None and status is not None:
                    if not writer.add(index, pixels, status):
                        is_cut = True
                        break
                    n_kept += 1
                telling.progress(f"decoding {what}", index + 1, len(dataset))
        writer.finish(is_cut)
    telling.progress(f"decoding {what}", len(dataset), len(dataset))
    share = f"{what}: {n_kept:,} of {len(dataset):,} images" if is_cut else f"{what}: {n_kept:,} images"
    size = path.stat().st_size / 2**30
    telling.note(
        f"{share} decoded in {time.perf_counter() - started:.0f} s and kept in {path.parent} ({size:.1f} GiB of"
        f" data.image_cache_gb {dataset.limit_bytes / 2**30:.1f}): later epochs and runs read them there",
        False,
    )


Decoded = tuple[np.ndarray | None, os.stat_result | None]


def _decoded(dataset: ImageDataset, workers: int) -> Generator[Decoded]:
    """All images in order, none for those that cannot be read: the run meets them by itself."""

    def read(index: int) -> Decoded:
        try:
            status = os.stat(dataset.manifest.file(dataset.rows[index]))
            return dataset.decoded(index), status
        except (OSError, ImageError):
            return None, None

    n_threads = max(1, workers)
    with (
        ThreadPoolExecutor(n_threads, thread_name_prefix="clipft-decode") as pool,
        contextlib.closing(Ahead(pool, read, range(len(dataset)), 8 * n_threads)) as decoded,
    ):
        yield from decoded
