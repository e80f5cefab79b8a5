"""Batches in a given order, decoded by threads ahead of their use; the time spent waiting is kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from ...config.data import BalanceName

PREFETCH_BATCHES = 3


@dataclass(frozen=True)
class Batch:
    """`pixels` (B, 3, H, W) uint8, `labels` (B,) int64, `indexes` (B,) positions in the data set."""

    pixels: torch.Tensor
    labels: torch.Tensor
    indexes: np.ndarray


@dataclass
class Loader:
    """Threads that turn indexes into batches. Threads and not processes: decoding and resizing release the
    GIL, the cache is shared, and there is no worker state to save. `fits_without_gradients` is the most images
    that a pass without gradients takes at once, where the memory has set a limit."""

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
        pending: deque[tuple[np.ndarray, list[Future[np.ndarray]]]] = deque()
        indexes = iter(order)
        submit = self._submitter(pixels_of)
        pending.extend((batch, submit(batch)) for batch in islice(indexes, PREFETCH_BATCHES))
        try:
            while pending:
                batch, futures = pending.popleft()
                start = time.perf_counter()
                stacked = torch.from_numpy(np.stack([future.result() for future in futures]))
                self.waited_seconds += time.perf_counter() - start
                for following in islice(indexes, 1):
                    pending.append((following, submit(following)))
                yield Batch(
                    _to(stacked, device), _to(torch.from_numpy(labels[batch]), device), np.asarray(batch)
                )
        finally:
            for _, futures in pending:
                for future in futures:
                    future.cancel()

    def take_waited(self) -> float:
        """Seconds waited for data since the last call."""
        waited, self._taken = self.waited_seconds - self._taken, self.waited_seconds
        return waited

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _submitter(
        self, pixels_of: Callable[[int], np.ndarray]
    ) -> Callable[[np.ndarray], list[Future[np.ndarray]]]:
        if self.workers == 0:
            return lambda batch: [_now(pixels_of, int(i)) for i in batch]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="clipft-decode")
        pool = self._pool
        return lambda batch: [pool.submit(pixels_of, int(i)) for i in batch]


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


def _now(pixels_of: Callable[[int], np.ndarray], index: int) -> Future[np.ndarray]:
    done: Future[np.ndarray] = Future()
    done.set_result(pixels_of(index))
    return done


def _to(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
