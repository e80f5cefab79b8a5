"""`safetensors`: one file with the merged image tower, the head, and all that is no tensor in its metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ...config.export import ExportOptions
from ..files.tensors import write_tensors
from ..images.transforms import Preprocess
from ..model.classifier import image_tower
from ..model.image_tower import is_plain_vit, read_image_tower
from .base import Format, Reader
from .source import PlainHead, Source

MODEL_FILE = "model.safetensors"
_HEAD = ("text_features", "logit_scale", "logit_bias")

USAGE = """\
import json
from safetensors import safe_open
with safe_open("model.safetensors", "np") as file:
    facts = {key: json.loads(text) for key, text in file.metadata().items()}  # classes, preprocess, model_cfg
    tower = {name: file.get_tensor(name) for name in file.keys() if name.startswith("visual.")}  # open_clip's names
    head = file.get_tensor("text_features"), file.get_tensor("logit_scale"), file.get_tensor("logit_bias")
# probabilities = softmax(logit_scale * unit(image_features) @ text_features.T + logit_bias)"""


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """The tower under open_clip's names, the head as text features with their scale and bias."""
    visual: Any = source.merged.clip.visual
    tensors = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    write_tensors(folder / MODEL_FILE, {**tensors, **source.head.tensors()}, metadata_of(source))


def metadata_of(source: Source) -> dict[str, str]:
    """Classes, preprocessing and architecture as JSON, by key: what a file without them would leave to guess."""
    facts = {
        "classes": [asdict(info) for info in source.loaded.classes],
        "preprocess": source.loaded.preprocess.to_json(),
        "model_cfg": source.model_cfg,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """The file, read by safetensors and run by torch."""
    file = folder / MODEL_FILE
    with safe_open(file, "pt") as opened:
        facts = {key: json.loads(text) for key, text in opened.metadata().items()}
        head = PlainHead.of({name: opened.get_tensor(name) for name in _HEAD})
    tower = image_tower(_clip(facts["model_cfg"], file))
    preprocess = Preprocess.from_config(facts["preprocess"])

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        pixels = torch.from_numpy(np.stack([preprocess.pixels(picture) for picture in pictures]))
        return calibrated(head, tower(preprocess.normalise(pixels)))

    return (Reader(MODEL_FILE, f"torch {torch.__version__}", torch.inference_mode()(answer), 1e-4),)


def calibrated(head: PlainHead, features: Tensor) -> np.ndarray:
    """(B, C) probabilities of features (B, D)."""
    return head.logits(features.float()).double().softmax(dim=1).numpy()


def _clip(model_cfg: dict[str, Any], file: Path) -> Any:
    if is_plain_vit(model_cfg):
        return read_image_tower(model_cfg, file)
    from ..model.backbone import build_untrained  # open_clip

    clip: Any = build_untrained(model_cfg)
    with safe_open(file, "pt") as opened:
        names = [name for name in opened.keys() if name.startswith("visual.")]  # noqa: SIM118
        clip.visual.load_state_dict({name.removeprefix("visual."): opened.get_tensor(name) for name in names})
    return clip.eval()


SAFETENSORS = Format(
    "safetensors",
    "one file: the merged image tower, the head, classes and preprocessing in its metadata",
    write,
    readers,
    USAGE,
    packages=("safetensors", "numpy"),
    library="open_clip",
    tags=("safetensors",),
)
