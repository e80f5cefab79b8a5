"""A classifier from the files of a checkpoint. open_clip is imported only where its model has to be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from ..model.classifier import Classifier, CosineHead, Head, LinearHead
from ..model.foreign import check_model_cfg
from ..run_dir import ADAPTER_FILE, CHECKPOINT_FILE, HEAD_FILE, TOWER_FILE, TRAINED_FILE
from .base_file import base_candidates, no_base_file, weights_folder
from .card import LARGEST_FACTOR, LEAST_FACTOR, Card, card_of, does_not_fit, read_whole

if TYPE_CHECKING:
    from ..model.backbone import Backbone

LARGEST_NUMBER = 1e6
"""Of a head's weights and biases; a fitted head's lie under a thousand. Beyond it their products leave float32."""


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


def load_classifier(checkpoint: Path, device: torch.device, base: Path | None = None) -> Loaded:
    """The classifier in a checkpoint folder, verified file by file; `base` is the file of its base weights.

    Raises CheckpointError where it is damaged, of another format, or its base model is not the one it belongs to.
    """
    meta = read_whole(checkpoint)
    return load_verified(checkpoint, meta, device, base)


def load_verified(checkpoint: Path, meta: dict[str, Any], device: torch.device, base: Path | None = None) -> Loaded:
    """`load_classifier` for one whose card was read and whose files were verified."""
    card = card_of(checkpoint, meta)
    try:
        if METHODS[card.method].writes_whole_model and TOWER_FILE not in meta["files"]:
            raise CheckpointError(f"{checkpoint / CHECKPOINT_FILE}: is damaged: it does not list {TOWER_FILE}")
        return put_together(checkpoint, meta, card, _tower(checkpoint, card, base), device)
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
    largest = max(float(tensor.abs().max()) for tensor in (weight, bias) if tensor is not None and tensor.numel())
    if largest > LARGEST_NUMBER:
        raise ValueError(f"the head's numbers reach {largest:.3g}, and logits are none with them")
    if scale.numel() != 1 or not LEAST_FACTOR <= float(scale) <= LARGEST_FACTOR:
        raise ValueError(f"the head's scale is {scale.tolist()}, which is none for logits")
    return CosineHead(weight, float(scale)) if kind == "cosine" else LinearHead(weight, bias, float(scale))


def _tower(checkpoint: Path, card: Card, base: Path | None) -> nn.Module:
    if not METHODS[card.method].writes_whole_model:
        return load_base(checkpoint, card, base).model
    from ..model.backbone import build_untrained, has_quick_gelu  # open_clip

    check_model_cfg(card.base.model_cfg, str(checkpoint / CHECKPOINT_FILE))
    clip = build_untrained(card.base.model_cfg)
    read_into(clip, checkpoint / TOWER_FILE, used="visual.")
    is_quick = has_quick_gelu(clip)
    if is_quick != card.base.quick_gelu:
        raise CheckpointError(f"{checkpoint}: the activation built (QuickGELU: {is_quick}) is not its own")
    return clip


def load_base(checkpoint: Path, card: Card, given: Path | None = None) -> Backbone:
    """The pretrained model `checkpoint` started from; `given` is the file of its weights, where somebody names it.

    Raises CheckpointError where it is not there, or what is there is another.
    """

    base, another = card.base, None
    try:
        for backbone in _bases(checkpoint, card, given):
            if backbone.base.digest == base.digest:
                return backbone
            another = another or backbone.base
    except ClipftError:
        raise
    except Exception as error:  # whatever a description that does not fit makes a builder raise
        raise does_not_fit(checkpoint, error) from error
    if another is None:
        raise no_base_file(checkpoint, base)
    what = "architecture" if another.weights_sha256 == base.weights_sha256 else "weights"
    named = f"{given}" if given is not None else f"{base.name} found here"
    raise CheckpointError(
        f"{checkpoint}: belongs to another base model: the {what} of {named}: a different digest",
        hint="restore the model this run was trained from, or name the file of its weights: --base FILE",
    )


def _bases(checkpoint: Path, card: Card, given: Path | None) -> Iterator[Backbone]:
    """What may be the model: by the name that open_clip has for it, else from each file that may hold its weights."""
    from ..model.backbone import backbone_of_file, is_named_by_open_clip, load_backbone  # open_clip

    base = card.base
    if given is None and is_named_by_open_clip(base):
        yield load_backbone(
            ModelConfig(name=base.name, pretrained=base.pretrained, cache_dir=weights_folder(checkpoint))
        )
        return
    for file in base_candidates(checkpoint, base, given):
        yield backbone_of_file(base, file, card.preprocess)
