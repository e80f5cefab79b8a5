"""Batches in a given order, decoded ahead of their use by threads, beside a GPU by processes; waiting is counted."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np
import torch

from ...config.data import BalanceName
from .dataset import View
from .decoders import Decoders, number_of_decoders

PREFETCH_BATCHES = 3
MOST_AT_ONCE = 8
"""Images a thread takes at a time: few enough to share a batch evenly, enough that handing them over costs nothing."""


@dataclass(frozen=True)
class Batch:
    """`pixels` (B, 3, H, W) uint8, `labels` (B,) int64, `indexes` (B,) positions in the data set."""

    pixels: torch.Tensor
    labels: torch.Tensor
    indexes: np.ndarray


@dataclass
class Loader:
    """Threads that turn indexes into batches: decoding and resizing release the GIL, the cache is shared, and there is
    no worker state to save. Beside a GPU each has a process that does the work (`decoders.py` says why).

    `fits_without_gradients` is the most images that a pass without gradients takes at once, where the memory has set a
    limit.
    """

    workers: int
    waited_seconds: float = 0.0
    fits_without_gradients: int | None = None
    _taken: float = 0.0
    _pool: ThreadPoolExecutor | None = field(default=None, repr=False)

    def batches(
        self,
        order: Iterable[np.ndarray],
        pixels_of: Callable[[int], np.ndarray],
        labels: np.ndarray,
        device: torch.device,
    ) -> Iterator[Batch]:
        """One batch for each array of indexes in `order`; `pixels_of` gives (3, H, W) uint8 for an index."""
        pending: deque[_Coming] = deque()
        indexes_of = [np.asarray(indexes) for indexes in order]
        mover = Mover(device)
        decoders = self._decoders(indexes_of, pixels_of, device)
        try:
            coming = (self._begin(indexes, self._room(indexes, pixels_of, device, decoders)) for indexes in indexes_of)
            pending.extend(islice(coming, PREFETCH_BATCHES))
            while pending:
                batch = pending.popleft()
                start = time.perf_counter()
                pixels = batch.pixels()
                self.waited_seconds += time.perf_counter() - start
                pending.extend(islice(coming, 1))
                yield Batch(mover(pixels), mover(torch.from_numpy(labels[batch.indexes])), batch.indexes)
        finally:
            for batch in pending:
                batch.cancel()
            if decoders is not None:
                decoders.close()

    def take_waited(self) -> float:
        """Seconds waited for data since the last call."""
        waited, self._taken = self.waited_seconds - self._taken, self.waited_seconds
        return waited

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _decoders(
        self, order: Sequence[np.ndarray], pixels_of: Callable[[int], np.ndarray], device: torch.device
    ) -> Decoders | None:
        """The processes of a pass, where it has use of some."""
        if not isinstance(pixels_of, View):
            return None
        n = number_of_decoders(self.workers, sum(map(len, order)), device)
        largest = max(map(len, order), default=0)
        return Decoders(n, pixels_of, n_slots=PREFETCH_BATCHES + 1, n_images=largest) if n else None

    @staticmethod
    def _room(
        indexes: np.ndarray, pixels_of: Callable[[int], np.ndarray], device: torch.device, decoders: Decoders | None
    ) -> _Room:
        if decoders is None:
            return _OwnRoom(indexes, pixels_of, is_pinned=device.type == "cuda")
        return _SharedRoom(indexes, decoders, is_pinned=device.type == "cuda")

    def _begin(self, indexes: np.ndarray, room: _Room) -> _Coming:
        coming = _Coming(indexes, room)
        if self.workers > 0 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="clipft-decode")
        n_parts = max(1, self.workers, math.ceil(len(indexes) / MOST_AT_ONCE))
        for part in np.array_split(np.arange(len(indexes)), min(n_parts, len(indexes))):
            coming.fill(part, self._pool)
        return coming


class _Room(Protocol):
    """Where the images of a batch are written, and by whom."""

    def write(self, part: np.ndarray) -> None:
        """Write the images at the positions `part`."""

    def pixels(self) -> torch.Tensor:
        """(B, H, W, 3) uint8, once all is written."""


class _OwnRoom:
    """One block of memory, written by the thread that is asked."""

    def __init__(self, indexes: np.ndarray, pixels_of: Callable[[int], np.ndarray], *, is_pinned: bool) -> None:
        self._indexes = indexes
        self._pixels_of = pixels_of
        self._is_pinned = is_pinned
        self._block: torch.Tensor | None = None
        self._lock = threading.Lock()

    def write(self, part: np.ndarray) -> None:
        for position in part:
            pixels = self._pixels_of(int(self._indexes[position])).transpose(1, 2, 0)  # (H, W, 3)
            self._block_for(pixels)[position] = pixels

    def pixels(self) -> torch.Tensor:
        assert self._block is not None  # no batch is empty
        return self._block

    def _block_for(self, pixels: np.ndarray) -> np.ndarray:
        with self._lock:
            if self._block is None:
                shape = (len(self._indexes), *pixels.shape)
                self._block = torch.empty(shape, dtype=torch.uint8, pin_memory=self._is_pinned)
            block: np.ndarray = self._block.numpy()
            return block


class _SharedRoom:
    """A block that processes write; the thread that is asked waits for one."""

    def __init__(self, indexes: np.ndarray, decoders: Decoders, *, is_pinned: bool) -> None:
        self._indexes = indexes
        self._decoders = decoders
        self._is_pinned = is_pinned
        self._slot = decoders.borrow()

    def write(self, part: np.ndarray) -> None:
        self._decoders.write(self._slot, part, self._indexes[part])

    def pixels(self) -> torch.Tensor:
        shared = torch.from_numpy(self._decoders.block(self._slot)[: len(self._indexes)])
        copied = shared.pin_memory() if self._is_pinned else shared.clone()
        self._decoders.give_back(self._slot)
        return copied


class _Coming:
    """A batch on its way: threads see to its images, several each."""

    def __init__(self, indexes: np.ndarray, room: _Room) -> None:
        self.indexes = indexes
        self._room = room
        self._parts: list[Future[None]] = []
        self._own: list[np.ndarray] = []

    def fill(self, part: np.ndarray, pool: ThreadPoolExecutor | None) -> None:
        """Have the positions `part` written by a thread of `pool`; without one, when they are asked for."""
        if pool is None:
            self._own.append(part)
        else:
            self._parts.append(pool.submit(self._room.write, part))

    def pixels(self) -> torch.Tensor:
        """(B, 3, H, W) uint8, channels last, once all is written. Raises what a thread raised."""
        for part in self._own:
            self._room.write(part)
        for future in self._parts:
            future.result()
        return self._room.pixels().permute(0, 3, 1, 2)

    def cancel(self) -> None:
        """Leave undone what is not begun."""
        for future in self._parts:
            future.cancel()


class Mover:
    """Moves tensors to the device; on CUDA on a stream of its own, so that copying overlaps with computing."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._stream is None:
            return tensor.to(self._device)
        with torch.cuda.stream(self._stream):
            moved = tensor.pin_memory().to(self._device, non_blocking=True)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_stream(self._stream)
        moved.record_stream(computing)  # its memory is not given to the next copy while it is read
        return moved


def epoch_order(labels: np.ndarray, *, seed: int, epoch: int, balance: BalanceName = "none") -> np.ndarray:
    """(N,) indexes of one epoch: a permutation, or with "sampler" draws that make every class as likely.

    A function of (seed, epoch): nothing needs saving for an exact resume.
    """
    rng = np.random.default_rng((seed, epoch, 0x0DE5))
    if balance != "sampler":
        return rng.permutation(len(labels))
    weights = 1.0 / np.bincount(labels)[labels]
    return rng.choice(len(labels), size=len(labels), p=weights / weights.sum())


def in_batches(order: np.ndarray | Sequence[int], batch_size: int) -> list[np.ndarray]:
    """`order` cut into arrays of `batch_size`; the last may be shorter."""
    order = np.asarray(order)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
