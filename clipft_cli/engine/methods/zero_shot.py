"""Zero-shot: class prompts alone, nothing trains. Source: Radford et al. 2021, section 3.1."""

from __future__ import annotations

from ..model.classifier import Classifier
from ..model.layers import Layer
from .base import Method, MethodSettings, plain_classifier


def layers(classifier: Classifier, settings: MethodSettings) -> tuple[Layer, ...]:
    """None."""
    return ()


ZERO_SHOT = Method("zero_shot", plain_classifier, layers, trains_by_epochs=False)
