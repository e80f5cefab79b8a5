"""Images decoded before their turn, in order, while the model works on those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from .decode import ImageError, decode_image
from .inputs import ImageInput
from .transforms import Preprocess

DECODED = tuple[ImageInput, np.ndarray | str]
"""An image with its pixels (3, H, W) uint8, or with the reason why it has none."""


class DecodedAhead:
    """Inputs with their pixels, in order; from the start at most `n_ahead` of them are decoded before their turn."""

    def __init__(
        self, found: Iterable[ImageInput], preprocess: Preprocess, pool: ThreadPoolExecutor, n_ahead: int
    ) -> None:
        self._found = iter(found)
        self._submit = lambda item: pool.submit(_pixels, item, preprocess)
        self._n_ahead = n_ahead
        self._pending: deque[tuple[ImageInput, Future[np.ndarray | str]]] = deque()
        self._fill()

    def __iter__(self) -> Iterator[DECODED]:
        while self._pending:
            item, future = self._pending.popleft()
            yield item, future.result()
            self._fill()

    def close(self) -> None:
        """Give up what has not begun."""
        for _, future in self._pending:
            future.cancel()

    def _fill(self) -> None:
        for item in islice(self._found, self._n_ahead - len(self._pending)):
            self._pending.append((item, self._submit(item)))


def _pixels(item: ImageInput, preprocess: Preprocess) -> np.ndarray | str:
    if item.problem is not None:
        return item.problem
    try:
        return preprocess.pixels(decode_image(Path(item.name)) if item.picture is None else item.picture)
    except ImageError as error:
        return error.text
