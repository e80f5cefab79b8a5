"""Work that is done before its turn, in order, by threads: decoding while the one who asks is busy with what came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


class Ahead(Generic[Done]):
    """`work` of each item, in order; from now on at most `n_ahead` are begun before their turn, where `pool.map`
    would begin all. Raises what `work` raises, in its turn.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, work: Callable[[Item], Done], items: Iterable[Item], n_ahead: int
    ) -> None:
        self._begun = (pool.submit(work, item) for item in items)
        self._n_ahead = n_ahead
        self._pending: deque[Future[Done]] = deque()
        self._fill()

    def __iter__(self) -> Iterator[Done]:
        while self._pending:
            yield self._pending.popleft().result()
            self._fill()

    def close(self) -> None:
        """Give up what has not begun."""
        for future in self._pending:
            future.cancel()

    def _fill(self) -> None:
        self._pending.extend(islice(self._begun, self._n_ahead - len(self._pending)))
