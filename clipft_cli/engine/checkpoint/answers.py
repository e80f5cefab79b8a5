"""What a loaded classifier makes of a batch of pixels: probabilities of its classes, or features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..model.precision import Precision
    from .load import Loaded


def probabilities(loaded: Loaded, pixels: np.ndarray, precision: Precision) -> np.ndarray:
    """(B, C) float64 of pixels (B, 3, H, W) uint8, at the checkpoint's temperature; rows add up to 1."""
    import torch

    from ..model.inference import in_pieces

    def forward(some: torch.Tensor) -> torch.Tensor:
        return loaded.classifier(loaded.preprocess.normalise(some))  # type: ignore[no-any-return]

    with torch.inference_mode():
        logits = in_pieces(forward, torch.from_numpy(pixels).to(precision.device), precision).cpu().double()  # (B, C)
        return (logits / loaded.temperature).softmax(dim=1).numpy()


def features_and_probabilities(
    loaded: Loaded, pixels: np.ndarray, precision: Precision
) -> tuple[np.ndarray, np.ndarray]:
    """What `unit_features` and `probabilities` give, the tower run once."""
    import torch

    from ..model.classifier import directions
    from ..model.inference import in_pieces

    classifier = loaded.classifier

    def forward(some: torch.Tensor) -> torch.Tensor:
        features = classifier.features(loaded.preprocess.normalise(some))
        with torch.autocast(features.device.type, enabled=False):
            return torch.cat([features, classifier.head(features)], dim=1)  # (B, D + C)

    with torch.inference_mode():
        both = in_pieces(forward, torch.from_numpy(pixels).to(precision.device), precision)
        n_classes = len(loaded.classes)
        shares = (both[:, -n_classes:].cpu().double() / loaded.temperature).softmax(dim=1)
        return directions(both[:, :-n_classes]).cpu().numpy(), shares.numpy()


def unit_features(loaded: Loaded, pixels: np.ndarray, precision: Precision) -> np.ndarray:
    """(B, D) float32 of pixels (B, 3, H, W) uint8, rows of length 1: what the head compares with its classes."""
    import torch

    from ..model.classifier import directions
    from ..model.inference import in_pieces

    def forward(some: torch.Tensor) -> torch.Tensor:
        return loaded.classifier.features(loaded.preprocess.normalise(some))

    with torch.inference_mode():
        features = in_pieces(forward, torch.from_numpy(pixels).to(precision.device), precision)  # (B, D) float32
        return directions(features).cpu().numpy()
