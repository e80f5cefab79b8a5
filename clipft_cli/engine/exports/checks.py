"""Whether what was written answers as the model does: the figures of a check, and when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...config.export import ExportOptions
from ...errors import ModelError
from ..comparison.paired import mcnemar
from .base import Reader
from .probe import Probe

_SMALLEST = 1e-12
"""A probability is counted as this at least, or one mistake would be infinitely wrong."""


@dataclass(frozen=True)
class Paired:
    """Eight-bit weights and the float32 graph on labelled images: the share right and the NLL of each, and the p of
    McNemar's exact test."""

    top1: float
    top1_fp32: float
    nll: float
    nll_fp32: float
    p: float

    @classmethod
    def of(cls, found: np.ndarray, fp32: np.ndarray, labels: np.ndarray) -> Paired:
        """From probabilities (N, C) of both and labels (N,)."""
        right, right_fp32 = (rows.argmax(axis=1) == labels for rows in (found, fp32))
        return cls(
            float(right.mean()),
            float(right_fp32.mean()),
            _nll(found, labels),
            _nll(fp32, labels),
            mcnemar(right, right_fp32).p,
        )


def _nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, _SMALLEST)).mean())


@dataclass(frozen=True)
class Check:
    """What one reader answers, beside the model itself (or the reader named `beside`) on the same `n_images`.

    Differences are of probabilities. `bound` is None where none holds, for eight-bit weights: `paired` compares them,
    where the images have labels.
    """

    name: str
    runtime: str
    n_images: int
    n_equal: int
    largest_difference: float
    bound: float | None
    beside: str | None = None
    paired: Paired | None = None

    @property
    def agreement(self) -> float:
        """Share of images with the same first answer."""
        return self.n_equal / self.n_images

    def to_json(self) -> dict[str, Any]:
        """As in export.json."""
        return {**asdict(self), "agreement": self.agreement}

    def refuse(self, options: ExportOptions) -> None:
        """Raises ModelError where the answers are not close enough to be kept."""
        if self.bound is not None:
            if not self.largest_difference <= self.bound:  # nan is beyond every bound
                raise ModelError(
                    f"{self.name}: read back by {self.runtime}, a probability differs by"
                    f" {self.largest_difference:.2g} on {self.n_images} images, the bound is {self.bound:.2g};"
                    " nothing was written",
                    hint="both sides are computed in float32; `--set export.max_difference=P` sets another bound",
                )
        elif not options.force:
            self._refuse_eight_bit(options.min_agreement)

    def _refuse_eight_bit(self, least: float) -> None:
        if self.paired is None:
            raise ModelError(
                f"{self.name}: eight-bit weights are measured on val, and val is not there; nothing was written",
                hint="name the data set: --data-dir DIR; or keep them unmeasured: --force",
            )
        if not self.agreement >= least:
            raise ModelError(
                f"{self.name}: eight-bit weights give the same answer as {self.beside} on {self.agreement:.1%} of"
                f" {self.n_images} images, export.min_agreement is {least:.1%}; nothing was written",
                hint="leave --int8 out, or keep them all the same: --force",
            )


def checked(readers: Sequence[Reader], probe: Probe, max_difference: float | None) -> tuple[Check, ...]:
    """Each of the readers on all pictures of the probe. Raises ModelError for one of another number of classes."""
    answers: dict[str, np.ndarray] = {}
    checks = []
    for reader in readers:
        found = np.concatenate([np.asarray(reader.answer(some), dtype=np.float64) for some in probe.batches()])
        if found.shape != probe.expected.shape:
            raise ModelError(f"{reader.name}: gives {found.shape[1:]} probabilities, not {probe.expected.shape[1:]}")
        answers[reader.name] = found
        expected = probe.expected if reader.beside is None else answers[reader.beside]
        checks.append(
            Check(
                reader.name,
                reader.runtime,
                len(probe),
                int((found.argmax(axis=1) == expected.argmax(axis=1)).sum()),
                float(np.abs(found - expected).max()),
                None if reader.beside else reader.bound if max_difference is None else max_difference,
                reader.beside,
                Paired.of(found, expected, probe.labels) if reader.beside and probe.labels is not None else None,
            )
        )
    return tuple(checks)
