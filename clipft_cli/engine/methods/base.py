"""The contract of a method: what it puts on the pretrained model, what of it may change, what is saved of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ...config.base import Config
from ...config.methods import METHOD_FACTS, MethodFacts, MethodName
from ...config.train import TrainConfig
from ..model.classifier import Classifier, Head
from ..model.layers import Layer

TINY_PARAMETERS, BASE_PARAMETERS = 5.5e6, 86e6
"""Image towers of ViT-Ti/16 and ViT-B."""


@dataclass(frozen=True)
class PeakRates:
    """Peak learning rates for two sizes of image tower, which `auto` draws a line through."""

    tiny: float
    base: float

    def at(self, tower_parameters: int) -> float:
        """On the line through both in logarithms; never above `tiny`, the largest that was measured."""
        power = math.log(self.base / self.tiny) / math.log(BASE_PARAMETERS / TINY_PARAMETERS)
        return min(self.tiny, self.tiny * (max(1, tower_parameters) / TINY_PARAMETERS) ** power)


WHOLE_TOWER = PeakRates(tiny=8e-4, base=2.5e-5)
ADAPTERS = PeakRates(tiny=3e-3, base=4e-4)
"""`tiny` is measured: examples/experiments. `base` is published for ViT-B and unmeasured here: the whole tower 1e-5 to
3e-5 (Wortsman et al. 2022; Goyal et al. 2023), without layer decay; LoRA 2e-4 (Zanella and Ben Ayed 2024) to the
reference system's 5e-4."""


@dataclass(frozen=True)
class MethodSettings:
    """What a method needs to know to be put on a model. `own` is its section of the configuration, where it has one."""

    own: Config | None = None
    seed: int = 0
    trains_text: bool = False
    checkpoint_blocks: bool = False

    @classmethod
    def of(cls, config: TrainConfig) -> MethodSettings:
        """As `config` has them for its method."""
        section = METHOD_FACTS[config.method].section
        return cls(
            own=getattr(config, section) if section is not None else None,
            seed=config.seed,
            trains_text=config.trains_text,
            checkpoint_blocks=config.hardware.gradient_checkpointing,
        )


@dataclass(frozen=True)
class Method:
    """One way of fine-tuning. `config.methods.MethodFacts` holds what must be known of it without torch.

    `attach(clip, head, settings)` builds the classifier; at the start its output equals the pretrained one's.
    `layers(classifier, settings)` lists what may change, from pixels to head. Everything else stays bit-equal, and no
    checkpoint holds it, unless `writes_whole_model`: then it has all of open_clip's weights, in a file that loads them.
    `trains_by_epochs` is False where the loop is not needed.
    `peak_rates` is what `learning_rate: auto` goes by. `has_adapters`: it trains weights beside the frozen ones.
    `require()` raises MissingExtraError where a package it needs is missing. `prepare(clip, settings)` makes the
    pretrained model what the method starts from, before anything is measured on it (for all but QLoRA that is the model
    as it is), and raises ModelError for one it cannot train.
    """

    name: MethodName
    attach: Callable[[nn.Module, Head, MethodSettings], Classifier]
    layers: Callable[[Classifier, MethodSettings], tuple[Layer, ...]]
    trains_by_epochs: bool = True
    writes_whole_model: bool = False
    has_adapters: bool = False
    peak_rates: PeakRates = WHOLE_TOWER
    require: Callable[[], None] = lambda: None
    prepare: Callable[[nn.Module, MethodSettings], None] = lambda clip, settings: None

    @property
    def facts(self) -> MethodFacts:
        """What is known of it without torch."""
        return METHOD_FACTS[self.name]

    @property
    def learns(self) -> bool:
        """Whether training images change anything."""
        return self.trains_by_epochs or self.facts.start_from_probe == "must"

    def trained_weights(self, classifier: Classifier, settings: MethodSettings) -> dict[str, Tensor]:
        """The pretrained model's own weights that may change, by their names in open_clip's model."""
        weights = dict(classifier.clip.named_parameters())
        listed = [name for layer in self.layers(classifier, settings) for name in layer.parameters]
        names = [name.removeprefix("clip.") for name in listed if name.startswith("clip.")]
        return {name: weights[name].detach() for name in names}

    def changes_model(self, classifier: Classifier, settings: MethodSettings) -> bool:
        """Whether more may change than the head."""
        head = set(head_parameters(classifier))
        return any(not set(layer.parameters) <= head for layer in self.layers(classifier, settings))


def head_parameters(classifier: Classifier) -> tuple[str, ...]:
    """Names of the head's parameters within the classifier."""
    return tuple(f"head.{name}" for name, _ in classifier.head.named_parameters())


def plain_classifier(clip: nn.Module, head: Head, settings: MethodSettings) -> Classifier:
    """The pretrained towers with a head, nothing added."""
    return Classifier(clip, head, checkpoint_blocks=settings.checkpoint_blocks, trains_text=settings.trains_text)
