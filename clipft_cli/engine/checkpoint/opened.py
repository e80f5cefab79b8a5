"""A checkpoint opened from cold: its card is read at once, its checksums are taken while torch is imported,
and where its tower is a plain ViT nothing but that tower is built, without open_clip.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ClipftError
from ..run_dir import CHECKPOINT_FILE, TOWER_FILE
from .base_file import known_base_file, needless_base
from .card import Card, card_of, read_card, verify_files

if TYPE_CHECKING:
    import torch

    from .load import Loaded


@dataclass(frozen=True)
class Opened:
    """A checkpoint whose files are being verified. `weights` gives the verified safetensors file of the model its
    tower is read from, its own or its base model's, or None where open_clip has to find it; it raises CheckpointError
    where a file is damaged."""

    checkpoint: Path
    meta: dict[str, Any]
    card: Card
    weights: Future[Path | None]
    base: Path | None = None

    def load(self, device: torch.device) -> Loaded:
        """The classifier, for inference: its image tower alone where that is enough, else all of open_clip's model.

        Raises CheckpointError where a file is damaged or does not fit, or the base model is another.
        """
        return self._image_only(device) or self._whole(device)

    def _image_only(self, device: torch.device) -> Loaded | None:
        """None where the tower is no plain ViT, or does not fit its description: open_clip then says what is wrong."""
        from ..methods import METHODS
        from ..model.foreign import check_model_cfg
        from ..model.image_tower import is_plain_vit, read_image_tower
        from .load import put_together

        cfg, weights = self.card.base.model_cfg, self.weights.result()
        is_own_tower = weights == self.checkpoint / TOWER_FILE
        if weights is None or is_own_tower != METHODS[self.card.method].writes_whole_model:
            return None
        if not is_plain_vit(cfg) or bool(cfg.get("quick_gelu")) != self.card.base.quick_gelu:
            return None
        check_model_cfg(cfg, str(self.checkpoint / CHECKPOINT_FILE))
        try:
            clip = read_image_tower(cfg, weights)
            return put_together(self.checkpoint, self.meta, self.card, clip, device)
        except ClipftError:
            raise
        except Exception:  # of as many kinds as there are ways not to fit
            return None

    def _whole(self, device: torch.device) -> Loaded:
        from .load import load_verified

        return load_verified(self.checkpoint, self.meta, device, self.base)


@contextlib.contextmanager
def opened(checkpoint: Path, base: Path | None = None, known: Mapping[str, Any] | None = None) -> Iterator[Opened]:
    """The checkpoint in a folder; `base` is the file of its base weights, where somebody names it, `known` what
    `read_card` gave, where its card has been read.

    Raises CheckpointError where its card is missing or damaged, ConfigError for a `base` that it has no use for. A
    block that ends early, with an error, leaves the rest of the verification undone.
    """
    meta = dict(known) if known is not None else read_card(checkpoint)
    card = card_of(checkpoint, meta)
    if base is not None and TOWER_FILE in meta["files"]:
        raise needless_base(checkpoint)
    is_unwanted = threading.Event()
    pool = ThreadPoolExecutor(1, thread_name_prefix="clipft-verify")
    try:
        yield Opened(
            checkpoint, meta, card, pool.submit(_verified_weights, checkpoint, meta, card, base, is_unwanted), base
        )
    finally:
        is_unwanted.set()
        pool.shutdown(cancel_futures=True)


def _verified_weights(
    checkpoint: Path, meta: dict[str, Any], card: Card, given: Path | None, is_unwanted: threading.Event
) -> Path | None:
    verify_files(checkpoint, meta, is_unwanted)
    if TOWER_FILE in meta["files"]:
        return checkpoint / TOWER_FILE
    return known_base_file(checkpoint, card.base, given, is_unwanted)
