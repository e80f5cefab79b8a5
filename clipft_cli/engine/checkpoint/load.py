"""A classifier from the files of a checkpoint. open_clip is imported only where its model has to be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...config.commands import TrainConfig
from ...config.methods import LoraConfig
from ...config.model import ModelConfig
from ...errors import CheckpointError, ClipftError
from ..images.transforms import Preprocess
from ..manifest import ClassInfo
from ..methods import METHODS
from ..model.base_model import BaseModel
from ..model.classifier import Classifier, CosineHead, Head, LinearHead
from ..model.foreign import check_model_cfg
from ..run_dir import ADAPTER_FILE, CHECKPOINT_FILE, HEAD_FILE, TOWER_FILE
from .card import Card, card_of, does_not_fit, read_card, verify_files

if TYPE_CHECKING:
    from ..model.backbone import Backbone


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


def load_classifier(checkpoint: Path, device: torch.device) -> Loaded:
    """The classifier in a checkpoint folder, verified file by file.

    Raises CheckpointError where it is damaged, of another format, or its base model is not the one it belongs to.
    """
    meta = read_card(checkpoint)
    verify_files(checkpoint, meta)
    return load_verified(checkpoint, meta, device)


def load_verified(checkpoint: Path, meta: dict[str, Any], device: torch.device) -> Loaded:
    """`load_classifier` for one whose card was read and whose files were verified."""
    card = card_of(checkpoint, meta)
    try:
        if METHODS[card.method].saves_tower and TOWER_FILE not in meta["files"]:
            raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it does not list {TOWER_FILE}")
        return put_together(checkpoint, meta, card, _tower(checkpoint, card), device)
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        raise does_not_fit(checkpoint, error) from error


def put_together(checkpoint: Path, meta: dict[str, Any], card: Card, clip: nn.Module, device: torch.device) -> Loaded:
    """Head and adapters of a checkpoint on its tower. Raises whatever files that do not fit make torch raise."""
    method = METHODS[card.method]
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


def _tower(checkpoint: Path, card: Card) -> nn.Module:
    if not METHODS[card.method].saves_tower:
        return load_base(checkpoint, card.base).model
    from ..model.backbone import build_untrained, has_quick_gelu  # open_clip

    check_model_cfg(card.base.model_cfg, str(checkpoint / CHECKPOINT_FILE))
    clip = build_untrained(card.base.model_cfg)
    clip.load_state_dict(load_file(checkpoint / TOWER_FILE))
    is_quick = has_quick_gelu(clip)
    if is_quick != card.base.quick_gelu:
        raise CheckpointError(f"{checkpoint}: the activation built (QuickGELU: {is_quick}) is not its own")
    return clip


def load_base(checkpoint: Path, base: BaseModel) -> Backbone:
    """The pretrained model `checkpoint` started from.

    Raises CheckpointError where it is not there, or what is there is another.
    """
    from ..model.backbone import load_backbone  # open_clip

    missing = next((path for path in (base.name, base.pretrained) if path and _is_gone(Path(path))), None)
    if missing is not None:
        raise CheckpointError(
            f"{checkpoint}: its base model is not there: {missing}: no such file",
            hint="put it back, or a link to where it is now (ln -s FILE PATH)",
        )
    cache_dir = Path(base.cache_dir) if base.cache_dir else None
    backbone = load_backbone(ModelConfig(name=base.name, pretrained=base.pretrained, cache_dir=cache_dir))
    if backbone.base.digest != base.digest:
        has_its_weights = backbone.base.weights_sha256 == base.weights_sha256
        what = "architecture" if has_its_weights else f"weights ({base.pretrained or 'its own'})"
        raise CheckpointError(
            f"{checkpoint}: belongs to another base model: the {what} of {base.name} found here: a different digest",
            hint="restore the model this run was trained from",
        )
    return backbone


def _is_gone(path: Path) -> bool:
    """Whether it is a recorded file or folder, which are absolute, and is there no more."""
    return path.is_absolute() and not path.exists()
