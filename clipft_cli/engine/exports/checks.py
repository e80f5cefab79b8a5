"""Whether what was written answers as the model does: the figures of a check, and when it fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...errors import ModelError
from .base import Reader
from .probe import Probe


@dataclass(frozen=True)
class Check:
    """What one reader answers, beside the model itself on the same `n_images`. Differences are of probabilities."""

    name: str
    runtime: str
    n_images: int
    n_equal: int
    largest_difference: float
    bound: float

    @property
    def agreement(self) -> float:
        """Share of images with the same first answer."""
        return self.n_equal / self.n_images

    def to_json(self) -> dict[str, Any]:
        """As in export.json."""
        return {**asdict(self), "agreement": self.agreement}

    def refuse_beyond_bound(self) -> None:
        """Raises ModelError where the answers are not the model's."""
        if not self.largest_difference <= self.bound:  # nan is beyond every bound
            raise ModelError(
                f"{self.name}: read back by {self.runtime}, a probability differs by {self.largest_difference:.2g} on"
                f" {self.n_images} images, the bound is {self.bound:.2g}; nothing was written",
                hint="both sides are computed in float32; `--set export.max_difference=P` sets another bound",
            )


def checked(reader: Reader, probe: Probe, max_difference: float | None) -> Check:
    """`reader` on all pictures of the probe."""
    found = np.concatenate([np.asarray(reader.answer(pictures), dtype=np.float64) for pictures in probe.batches()])
    if found.shape != probe.expected.shape:
        raise ModelError(f"{reader.name}: gives {found.shape[1:]} probabilities, not {probe.expected.shape[1:]}")
    return Check(
        reader.name,
        reader.runtime,
        len(probe),
        int((found.argmax(axis=1) == probe.expected.argmax(axis=1)).sum()),
        float(np.abs(found - probe.expected).max()),
        reader.bound if max_difference is None else max_difference,
    )
