"""Full fine-tuning: the whole image tower and the head."""

from __future__ import annotations

from ..model.classifier import Classifier
from ..model.layers import Layer, head_layer, image_layers
from .base import Method, head_parameters, plain_classifier


def layers(classifier: Classifier) -> tuple[Layer, ...]:
    """Stem, blocks, top and head."""
    return (*image_layers(classifier.clip.visual), head_layer(head_parameters(classifier)))  # type: ignore[arg-type]


FULL = Method("full", plain_classifier, layers, trains_by_epochs=True, saves_tower=True)
