"""What to do where training waits for its images."""

from __future__ import annotations

from ..images.dataset import ImageDataset
from ..machine.hardware import worker_count

WAIT_LIMIT = 0.10
"""Share of the training time from which on waiting for images is worth a word."""


def waiting_advice(share: float, n_workers: int, train_set: ImageDataset) -> str:
    """One sentence: how long was waited, and what would help here."""
    helps = []
    n_cores = worker_count("auto")
    if n_workers < n_cores:
        helps.append(f"data.num_workers: {n_cores} (now {n_workers})")
    if train_set.kept_share < 1:
        helps.append(f"a larger data.image_cache_gb ({train_set.kept_share:.0%} of the images are kept decoded)")
        helps.append("smaller image files")
    if train_set.augmentation is not None and train_set.augmentation.cheaper is not None:
        helps.append(f"data.augmentation: {train_set.augmentation.cheaper}")
    advice = " or ".join(helps) or "more cores, or a faster disk under the user's cache folder"
    return f"{share:.0%} of the training time was spent waiting for images: {advice} would help"
