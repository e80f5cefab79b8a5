"""The outputs of a frozen part of the tower for the images of a split, in memory or in a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

from ..images.loader import Batch

MEMORY_SHARE = 0.25
"""Share of the free memory above which outputs go to a file: the rest is the training's."""


@dataclass(frozen=True)
class HiddenBatch:
    """`hidden` (B, ...) as `Classifier.below` gave it, `labels` (B,) int64, `indexes` (B,) positions in the split."""

    hidden: Tensor
    labels: Tensor
    indexes: np.ndarray


AnyBatch = Batch | HiddenBatch
"""What an update is made of: images, or what the frozen part of the tower gave for them."""


@dataclass(frozen=True)
class HiddenKind:
    """Shape and dtype of one image's output."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def n_bytes(self) -> int:
        """Of one image."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def reserve(n_images: int, kind: HiddenKind, folder: Path) -> Tensor:
    """Room for the outputs of a split, (N, ...): in memory, or mapped from a file in `folder` where they are many.

    The file has no name any more: it is gone with the tensor, whatever ends the process.
    Raises OSError where the disk does not have the room.
    """
    n_bytes = n_images * kind.n_bytes
    if n_bytes <= MEMORY_SHARE * psutil.virtual_memory().available:
        return torch.empty((n_images, *kind.shape), dtype=kind.dtype)
    return _mapped(n_bytes, kind.dtype, folder).view(n_images, *kind.shape)


def _mapped(n_bytes: int, dtype: torch.dtype, folder: Path) -> Tensor:
    handle, name = tempfile.mkstemp(prefix=".frozen-", suffix=".tmp", dir=folder)
    try:
        # a sparse file on a full disk would end the process by a signal, in the middle of a write
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, n_bytes)
        return torch.from_file(name, shared=True, size=n_bytes // dtype.itemsize, dtype=dtype)
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(name)
