"""Rows of a manifest as pixels: decoded once where memory allows, augmented by (seed, epoch, index) alone."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ...errors import NO_PERMISSION, DataError, NoPermission
from ..machine.versions import versions_of
from ..manifest import Manifest, Row
from .augmentations import Augmentation
from .decode import NOT_FOUND, PASSING_REASONS, ImageError, decode_image, read_image_bytes
from .draws import Draws
from .pixel_pack import PixelPack
from .transforms import Preprocess

RETRIES = 2
RETRY_SECONDS = 0.2

Reader = Callable[[bytes], np.ndarray]
"""The content of an image file to (h, w, 3) uint8."""


@dataclass(frozen=True)
class BadImage:
    """An image that could not be read although prepare had accepted it."""

    path: str
    reason: str
    stand_in: str | None


class ImageDataset:
    """One split. Indexes are positions in `rows`.

    Training pixels are a function of (seed, epoch, index); evaluation pixels of the index. An image that
    cannot be read is replaced by the next readable one of its class, and counted in `bad`.
    """

    def __init__(
        self,
        manifest: Manifest,
        rows: Sequence[Row],
        preprocess: Preprocess,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        cache_gb: float = 0.0,
        max_bad_share: float = 0.01,
    ) -> None:
        self.manifest = manifest
        self.rows = tuple(rows)
        self.labels = np.array([row.label for row in self.rows], dtype=np.int64)  # (N,)
        self.preprocess = preprocess
        self.augmentation = augmentation
        self.seed = seed
        self.bad: dict[int, BadImage] = {}
        self._is_gone_counted = False
        self._max_bad = max(1.0, max_bad_share * len(self.rows)) if max_bad_share > 0 else 0.0
        self._cache: dict[int, np.ndarray] = {}
        self.limit_bytes = int(cache_gb * 2**30)
        self._memory_left = min(self.limit_bytes, psutil.virtual_memory().available // 4)
        self._pack: PixelPack | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def files(self) -> list[Path]:
        """Where each image lies."""
        return [self.manifest.file(row) for row in self.rows]

    def bad_as_json(self) -> list[list[Any]]:
        """`bad` as plain lists, in the order of the rows."""
        return [[index, *astuple(self.bad[index])] for index in sorted(self.bad)]

    def add_bad(self, known: Iterable[Sequence[Any]]) -> None:
        """Take over what an earlier process found bad, as `bad_as_json` gave it."""
        self.bad.update({int(index): BadImage(path, reason, other) for index, path, reason, other in known})

    def take_over_bad(self, known: Iterable[Sequence[Any]]) -> None:
        """`add_bad` of what another process has just met. Raises DataError where that is too many."""
        with self._lock:
            self.add_bad(known)
            self._refuse_too_many_bad()

    def train_pixels(self, index: int, epoch: int) -> np.ndarray:
        """(3, H, W) uint8 of one image, augmented for this epoch. Channels lie last in memory."""
        if self.augmentation is None:
            return self.eval_pixels(index)
        draws = Draws(self.seed, epoch, index)
        return self.augmentation.pixels(self._kept(index, self._source), self.preprocess, draws)

    def eval_pixels(self, index: int) -> np.ndarray:
        """(3, H, W) uint8 of one image under the model's own transform. Channels lie last in memory."""
        if (
            self.augmentation is not None
        ):  # the cache holds what crops are taken from, which is not what validation sees
            return self._readable(index, self._evaluated).transpose(2, 0, 1)
        return self._kept(index, self._evaluated).transpose(2, 0, 1)

    @property
    def kept_as(self) -> tuple[object, ...]:
        """What decides the pixels that are kept of an image, besides its file."""
        decoders = tuple(versions_of("pillow", "torchvision").values())
        if self.augmentation is None:
            return "evaluated", repr(self.preprocess), *decoders
        crops, size = self.augmentation.crops, self.preprocess.size
        return crops.kept_as, size, crops.source_px(size), *decoders

    @property
    def expected_bytes(self) -> int:
        """About what all images take that are kept, were they photographs of 3 by 4."""
        if self.augmentation is None:
            return 3 * self.preprocess.size[0] * self.preprocess.size[1] * len(self)
        crops = self.augmentation.crops
        return int(3 * 4 / 3 * crops.source_area * crops.source_px(self.preprocess.size) ** 2) * len(self)

    @property
    def kept_share(self) -> float:
        """Share of the images that need not be decoded again, 0 to 1."""
        return min(1.0, (len(self._cache) + (len(self._pack) if self._pack is not None else 0)) / len(self))

    def decoded(self, index: int) -> np.ndarray:
        """(h, w, 3) uint8 as it is kept, read from its own file. Raises ImageError."""
        return self._read(index, self._evaluated if self.augmentation is None else self._source)

    def read_from(self, pack: PixelPack) -> None:
        """Read from a file of decoded images what is in it."""
        self._pack = pack
        self._memory_left = max(0, min(self._memory_left, self.limit_bytes - pack.n_bytes))

    def _source(self, content: bytes) -> np.ndarray:
        """(h, w, 3) uint8 that crops are taken from: reduced to what the smallest of them needs."""
        assert self.augmentation is not None
        return self.augmentation.crops.source(content, self.preprocess.size)

    def _evaluated(self, content: bytes) -> np.ndarray:
        """(H, W, 3) uint8 under the model's own transform."""
        return self.preprocess.pixels(decode_image(content)).transpose(1, 2, 0)

    def _kept(self, index: int, read: Reader) -> np.ndarray:
        """From the cache where it is, and else put there: the same with and without it."""
        array = self._cache.get(index)
        if array is None and self._pack is not None and index not in self.bad:
            row = self.rows[index]
            array = self._pack.get(index, self.manifest.file(row), row.sha256)
        if array is None:
            array = self._readable(index, read)
            with self._lock:
                if index not in self._cache and array.nbytes <= self._memory_left:
                    self._memory_left -= array.nbytes
                    self._cache[index] = array
        return array

    def _readable(self, index: int, read: Reader) -> np.ndarray:
        """What `read` makes of the image, or of its stand-in. Raises DataError where too many are bad or a class
        has none left."""
        try:
            if index in self.bad:
                raise ImageError(self.bad[index].reason)
            return self._read_with_retries(index, read)
        except ImageError as error:
            return self._stand_in(index, error, read)

    def _read_with_retries(self, index: int, read: Reader) -> np.ndarray:
        for _ in range(RETRIES):
            try:
                return self._read(index, read)
            except ImageError as error:
                if error.reason not in PASSING_REASONS:
                    break  # the file is there and broken: waiting does not mend it
                time.sleep(RETRY_SECONDS)  # a network file system that stalls
        try:
            return self._read(index, read)
        except ImageError as error:
            if error.reason == NO_PERMISSION:  # no fault of the image: nothing may stand in for it
                raise NoPermission(self.manifest.file(self.rows[index])) from None
            raise

    def _read(self, index: int, read: Reader) -> np.ndarray:
        """Only ever of the very file that was prepared. Raises ImageError."""
        row = self.rows[index]
        content = read_image_bytes(self.manifest.file(row))
        if hashlib.sha256(content).hexdigest() != row.sha256:
            decode_image(content)  # a damaged file has a better reason than the next line's
            raise ImageError("another image than the one prepared")
        return read(content)

    def _stand_in(self, index: int, error: ImageError, read: Reader) -> np.ndarray:
        same_class = np.flatnonzero(self.labels == self.labels[index])
        start = int(np.searchsorted(same_class, index)) + 1
        for offset in range(len(same_class) - 1):
            other = int(same_class[(start + offset) % len(same_class)])
            if other in self.bad:
                continue
            try:
                array = self._read(other, read)
            except ImageError:
                continue
            self._note_bad(index, error.reason, self.rows[other].path)
            return array
        self._note_bad(index, error.reason, None)
        raise DataError(
            f"{self.rows[index].path}: {error.reason}, and its class has no other readable image",
            hint="restore the images or run `clipft prepare` again",
        )

    def _note_gone(self, reason: str) -> None:
        """All that are not there: where one is gone others are, and each would be met when its turn comes."""
        for index, row in enumerate(self.rows):
            if index not in self.bad and not self.manifest.file(row).exists():
                self.bad[index] = BadImage(row.path, reason, None)

    def _note_bad(self, index: int, reason: str, stand_in: str | None) -> None:
        with self._lock:
            known = self.bad.get(index)
            if known is None or known.stand_in is None:
                self.bad[index] = BadImage(self.rows[index].path, reason, stand_in)
            if reason == NOT_FOUND and not self._is_gone_counted:
                self._is_gone_counted = True
                self._note_gone(reason)
            self._refuse_too_many_bad()

    def _refuse_too_many_bad(self) -> None:
        if len(self.bad) > self._max_bad:
            shown = "; ".join(f"{bad.path}: {bad.reason}" for bad in list(self.bad.values())[:5])
            raise DataError(
                f"{len(self.bad)} of {len(self.rows)} images cannot be read any more ({shown})",
                hint="restore them or run `clipft prepare` again; data.max_bad_share sets the limit",
            )


@dataclass(frozen=True)
class View:
    """The images of a data set as one pass sees them: augmented for `epoch`, or as validation does where it is None."""

    dataset: ImageDataset
    epoch: int | None = None

    def __call__(self, index: int) -> np.ndarray:
        """(3, H, W) uint8."""
        return self.dataset.eval_pixels(index) if self.epoch is None else self.dataset.train_pixels(index, self.epoch)
