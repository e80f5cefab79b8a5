"""Full fine-tuning: the whole image tower and the head, or both towers."""

from __future__ import annotations

from ..model.classifier import Classifier
from ..model.layers import Layer, head_layer, image_layers, text_layers
from .base import Method, MethodSettings, head_parameters, plain_classifier


def layers(classifier: Classifier, settings: MethodSettings) -> tuple[Layer, ...]:
    """Stem, blocks, top and head; the text tower's in place of the head where that trains."""
    head = text_layers(classifier.clip) if classifier.trains_text else (head_layer(head_parameters(classifier)),)
    return (*image_layers(classifier.clip.visual), *head)


FULL = Method("full", plain_classifier, layers, writes_whole_model=True)
