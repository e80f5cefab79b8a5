"""Images of several requests, answered together: the graph is run by one thread, on what has come meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

Item = tuple[np.ndarray, "asyncio.Future[np.ndarray]"]


class Batches:
    """Answers (C,) for pixels (3, H, W) uint8, at most `max_batch` at once; none waits longer than `max_wait_seconds`
    for others. A batch that fails is an error of each of its images.
    """

    def __init__(
        self,
        answer: Callable[[np.ndarray], np.ndarray],
        max_batch: int,
        max_wait_seconds: float,
        on_batch: Callable[[int], None],
    ) -> None:
        self._answer, self._max_batch, self._max_wait = answer, max_batch, max_wait_seconds
        self._on_batch = on_batch
        self._waiting: asyncio.Queue[Item] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "graph")

    async def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """(C,) of one image."""
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((pixels, future))
        return await future

    async def run(self) -> None:
        """Answer what comes, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [item for item in await self._next() if not item[1].done()]  # a request that was given up
            if not batch:
                continue
            self._on_batch(len(batch))
            try:
                rows = await loop.run_in_executor(self._thread, self._answer, np.stack([pixels for pixels, _ in batch]))
            except Exception as error:  # whatever onnxruntime raises, the service goes on
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), row in zip(batch, rows, strict=True):
                if not future.done():
                    future.set_result(row)

    async def _next(self) -> list[Item]:
        loop = asyncio.get_running_loop()
        batch = [await self._waiting.get()]
        until = loop.time() + self._max_wait
        while len(batch) < self._max_batch:
            try:
                batch.append(self._waiting.get_nowait())
                continue
            except asyncio.QueueEmpty:
                left = until - loop.time()
            if left <= 0:
                break
            try:
                batch.append(await asyncio.wait_for(self._waiting.get(), left))
            except TimeoutError:
                break
        return batch

    def close(self) -> None:
        """End the thread, once no request is left."""
        self._thread.shutdown(wait=True)
