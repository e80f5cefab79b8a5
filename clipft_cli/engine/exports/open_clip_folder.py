"""`open_clip`: a folder that `open_clip.create_model` loads by its path, LoRA merged, and the head as text features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from ...config.export import ExportOptions
from ..files.tensors import write_tensors
from ..run_dir import OPEN_CLIP_CONFIG_FILE, TOWER_FILE
from .base import Format, Reader
from .one_file import calibrated, metadata_of
from .source import PlainHead, Source

HEAD_FILE = "text_features.safetensors"
CLASSES_FILE = "classes.json"

USAGE = """\
import json, open_clip, torch
from PIL import Image
from safetensors.torch import load_file
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:.")
head, classes = load_file("text_features.safetensors"), json.load(open("classes.json"))
with torch.inference_mode():
    features = model.eval().encode_image(preprocess(Image.open("photo.jpg"))[None], normalize=True)
    logits = head["logit_scale"] * features @ head["text_features"].T + head["logit_bias"]
print(dict(zip(classes, logits.softmax(dim=1)[0].tolist())))"""


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """Both towers in open_clip's own form; the head in a file of its own, which open_clip leaves alone."""
    write_tensors(folder / TOWER_FILE, source.whole().state_dict())
    write_tensors(folder / HEAD_FILE, source.head.tensors(), metadata_of(source))
    config = {"model_cfg": source.model_cfg, "preprocess_cfg": source.loaded.preprocess.to_json()}
    (folder / OPEN_CLIP_CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
    names = json.dumps(source.class_names, indent=1, ensure_ascii=False) + "\n"
    (folder / CLASSES_FILE).write_text(names, encoding="utf-8", errors="backslashreplace")


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """The folder, loaded and run by open_clip, with open_clip's own transform."""
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder.resolve()}", precision="fp32")
    model.eval()
    head = PlainHead.of(load_file(folder / HEAD_FILE))

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        images = torch.stack([transform(picture) for picture in pictures])
        return calibrated(head, model.encode_image(images))

    runtime = f"open_clip {open_clip.__version__}"
    return (Reader(TOWER_FILE, runtime, torch.inference_mode()(answer), 1e-3),)


OPEN_CLIP = Format(
    "open_clip",
    "a folder that open_clip.create_model loads by its path, and the head as text features",
    write,
    readers,
    USAGE,
    packages=("open_clip_torch",),
    library="open_clip",
    tags=("open_clip",),
)
