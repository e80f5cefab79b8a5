"""A classifier ready to use, put together from a tower and the files of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ...config.commands import TrainConfig
from ...config.methods import LoraConfig
from ...errors import CheckpointError
from ..data.manifest import ClassInfo
from ..data.transforms import Preprocess
from ..methods import METHODS
from ..model.classifier import Classifier, CosineHead, Head, LinearHead
from ..run_dir import ADAPTER_FILE, HEAD_FILE
from .card import Card


@dataclass(frozen=True)
class Loaded:
    """A classifier ready to use; probabilities are softmax(logits / temperature)."""

    classifier: Classifier
    card: Card
    meta: dict[str, Any]

    @property
    def preprocess(self) -> Preprocess:
        """The validation transform."""
        return self.card.preprocess

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """In the order of the logits."""
        return self.card.classes

    @property
    def temperature(self) -> float:
        """Fitted on val; 1 where it was not."""
        return self.card.temperature


def put_together(
    checkpoint: Path, meta: dict[str, Any], card: Card, clip: torch.nn.Module, device: torch.device
) -> Loaded:
    """Head and adapters of a checkpoint on its tower. Raises whatever files that do not fit make torch raise."""
    method = METHODS[card.method]  # type: ignore[index]
    tensors = load_file(checkpoint / HEAD_FILE)
    head = head_of(tensors, card.head)
    if len(tensors["weight"]) != len(card.classes):
        raise CheckpointError(
            f"{checkpoint}: does not fit together: {len(card.classes)} classes, a head for {len(tensors['weight'])}"
        )
    classifier = method.attach(clip, head, TrainConfig(method=method.name, lora=card.lora or LoraConfig()))
    if classifier.adapters is not None:
        classifier.adapters.load_state_dict(load_file(checkpoint / ADAPTER_FILE))
    return Loaded(classifier.to(device).eval(), card, meta)


def head_of(tensors: Mapping[str, Tensor], kind: str) -> Head:
    """A head from its state dict. Raises ValueError where it is that of another kind."""
    names = {"cosine": {"weight", "scale"}, "linear": {"weight", "bias", "scale"}}
    if names.get(kind) != set(tensors):
        raise ValueError(f"no '{kind}' head has {', '.join(sorted(tensors))}")
    if kind == "cosine":
        return CosineHead(tensors["weight"], float(tensors["scale"]))
    return LinearHead(tensors["weight"], tensors["bias"], float(tensors["scale"]))
