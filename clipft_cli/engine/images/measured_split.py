"""A split as it is measured: an image that cannot be read has no stand-in, it is left out and named."""

from __future__ import annotations

import numpy as np

from ...errors import DataError
from ..files.visible import visible
from .dataset import BadImage, ImageDataset, Reader
from .decode import ImageError

N_NAMED = 10


class MeasuredSplit(ImageDataset):
    """Unreadable images are black pixels whose scores must be dropped: their indexes are the keys of `bad`."""

    def _stand_in(self, index: int, error: ImageError, read: Reader) -> np.ndarray:
        with self._lock:
            self.bad[index] = BadImage(self.rows[index].path, error.text, None)
        return np.zeros((*self.preprocess.size, 3), dtype=np.uint8)

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """(path, reason) in manifest order."""
        return [(self.bad[index].path, self.bad[index].reason) for index in sorted(self.bad)]

    def refuse_too_many(self) -> None:
        """Raises DataError above data.max_bad_share (one image is always allowed where that is not 0)."""
        n_bad = len(self.bad)
        if n_bad == 0 or (n_bad <= self._max_bad and n_bad < len(self.rows)):
            return
        named = "".join(f"\n  {visible(path)}: {visible(reason)}" for path, reason in self.unreadable[:N_NAMED])
        more = f"\n  and {n_bad - N_NAMED} more" if n_bad > N_NAMED else ""
        raise DataError(
            f"{n_bad} of {len(self.rows)} images of this split cannot be read:{named}{more}",
            hint="restore them, or run `clipft prepare` again; data.max_bad_share sets the limit",
        )
