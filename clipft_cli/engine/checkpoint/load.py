"""A classifier from the files of a checkpoint. open_clip is imported only where its model has to be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...config.model import ModelConfig
from ...errors import CheckpointError, ClipftError
from ..files.tensors import read_into, read_tensors
from ..images.transforms import Preprocess
from ..manifest import ClassInfo
from ..methods import METHODS
from ..methods.base import Method, MethodSettings
from ..model.base_model import BaseModel
from ..model.classifier import Classifier, CosineHead, Head, LinearHead
from ..model.foreign import check_model_cfg
from ..run_dir import ADAPTER_FILE, CHECKPOINT_FILE, HEAD_FILE, TOWER_FILE, TRAINED_FILE
from .card import LARGEST_FACTOR, LEAST_FACTOR, Card, card_of, does_not_fit, read_card, verify_files

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
        if METHODS[card.method].writes_whole_model and TOWER_FILE not in meta["files"]:
            raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it does not list {TOWER_FILE}")
        return put_together(checkpoint, meta, card, _tower(checkpoint, card), device)
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        raise does_not_fit(checkpoint, error) from error


def put_together(checkpoint: Path, meta: dict[str, Any], card: Card, clip: nn.Module, device: torch.device) -> Loaded:
    """What was trained, head and adapters of a checkpoint on `clip`, which becomes its own.

    Raises whatever files that do not fit make torch raise.
    """
    method, settings = METHODS[card.method], MethodSettings(card.settings)
    trained = _trained_weights(checkpoint, method, clip)
    put_trained(clip, trained)
    head = read_head(checkpoint / HEAD_FILE, card.head, (len(card.classes), int(card.base.model_cfg["embed_dim"])))
    classifier = method.attach(clip, head, settings)
    if not method.writes_whole_model and set(method.trained_weights(classifier, settings)) != set(trained):
        raise CheckpointError(f"{checkpoint / TRAINED_FILE}: does not hold the weights that {card.method} trains")
    if classifier.adapters is not None:
        read_into(classifier.adapters, checkpoint / ADAPTER_FILE)
    return Loaded(classifier.to(device).eval(), card, meta)


def put_trained(clip: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights of these names in place of the model's own, which stay as they are: they may be a mapped file's.

    Raises ValueError or RuntimeError where one does not fit.
    """
    own = dict(clip.named_parameters())
    for name, tensor in weights.items():
        if name not in own or not tensor.is_floating_point():
            raise ValueError(f"{TRAINED_FILE}: the base model has no weights {name} of {tensor.dtype}")
    clip.load_state_dict(dict(weights), strict=False, assign=True)


def _trained_weights(checkpoint: Path, method: Method, clip: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint without the whole model holds for `clip`, which may be an image tower alone."""
    file = checkpoint / TRAINED_FILE
    if method.writes_whole_model or not file.is_file():
        return {}
    is_whole = any(not name.startswith("visual.") for name, _ in clip.named_parameters())
    return {name: value for name, value in read_tensors(file).items() if is_whole or name.startswith("visual.")}


def read_head(path: Path, kind: str, shape: tuple[int, int] | None = None) -> Head:
    """The head in a file, its class vectors of `shape` (C, D). Raises ValueError where it is another one."""
    names = {"cosine": {"weight", "scale"}, "linear": {"weight", "bias", "scale"}}
    tensors = read_tensors(path)
    if names.get(kind) != set(tensors):
        raise ValueError(f"no '{kind}' head has {', '.join(sorted(tensors))}")
    weight, bias, scale = tensors["weight"], tensors.get("bias"), tensors["scale"]
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise ValueError("the head's numbers are whole ones")
    if weight.dim() != 2 or (shape is not None and tuple(weight.shape) != shape):
        wanted = "" if shape is None else f", {shape[0]} classes of {shape[1]} features need ({shape[0]}, {shape[1]})"
        raise ValueError(f"the head is of shape {tuple(weight.shape)}{wanted}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"the head has {len(weight)} class vectors and a bias of shape {tuple(bias.shape)}")
    if scale.numel() != 1 or not LEAST_FACTOR <= float(scale) <= LARGEST_FACTOR:
        raise ValueError(f"the head's scale is {scale.tolist()}, which is none for logits")
    return CosineHead(weight, float(scale)) if kind == "cosine" else LinearHead(weight, bias, float(scale))


def _tower(checkpoint: Path, card: Card) -> nn.Module:
    if not METHODS[card.method].writes_whole_model:
        return load_base(checkpoint, card.base).model
    from ..model.backbone import build_untrained, has_quick_gelu  # open_clip

    check_model_cfg(card.base.model_cfg, str(checkpoint / CHECKPOINT_FILE))
    clip = build_untrained(card.base.model_cfg)
    read_into(clip, checkpoint / TOWER_FILE, used="visual.")
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
