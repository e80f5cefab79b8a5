"""The contract of a method: what it puts on the pretrained model, what of it may change, what it saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ...config.commands import TrainConfig
from ...config.methods import MethodName
from ..model.classifier import Classifier, Head
from ..model.layers import Layer


@dataclass(frozen=True)
class Method:
    """One way of fine-tuning.

    `attach(clip, head, config)` builds the classifier; at the start its output equals the pretrained one's.
    `layers(classifier)` lists what may change, from pixels to head; everything else stays bit-equal.
    `trains_by_epochs` is False where the loop is not needed. `saves_tower` says that the tower's weights change,
    so that a checkpoint holds all of open_clip's; else adapters and head, with what they belong to.
    `has_adapters` says that the `lora` section is its own. `require()` raises MissingExtraError where a package
    it needs is missing. `prepare(clip, config)` makes the pretrained model what the method starts from, before anything
    is measured on it (for all but QLoRA that is the model as it is), and raises ModelError for one it cannot train.
    """

    name: MethodName
    attach: Callable[[nn.Module, Head, TrainConfig], Classifier]
    layers: Callable[[Classifier], tuple[Layer, ...]]
    trains_by_epochs: bool
    saves_tower: bool
    has_adapters: bool = False
    require: Callable[[], None] = lambda: None
    prepare: Callable[[nn.Module, TrainConfig], None] = lambda clip, config: None


def head_parameters(classifier: Classifier) -> tuple[str, ...]:
    """Names of the head's parameters within the classifier."""
    return tuple(f"head.{name}" for name, _ in classifier.head.named_parameters())


def plain_classifier(clip: nn.Module, head: Head, config: TrainConfig) -> Classifier:
    """The pretrained towers with a head, nothing added."""
    return Classifier(
        clip,
        head,
        checkpoint_blocks=config.hardware.gradient_checkpointing,
        trains_text=config.trains_text,
    )
