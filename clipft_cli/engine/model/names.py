"""What a model's name means: architecture and weights, from the names people use."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import open_clip

from ...demo import tiny
from ...errors import ModelError
from ..run_dir import CHECKPOINT_FILE, OPEN_CLIP_CONFIG_FILE, TOWER_FILE, find_checkpoint
from .transformers_folder import converted, is_transformers_folder

HUGGING_FACE = {
    "openai/clip-vit-base-patch32": ("ViT-B-32", "openai"),
    "openai/clip-vit-base-patch16": ("ViT-B-16", "openai"),
    "openai/clip-vit-large-patch14": ("ViT-L-14", "openai"),
    "openai/clip-vit-large-patch14-336": ("ViT-L-14-336", "openai"),
    "laion/clip-vit-b-32-laion2b-s34b-b79k": ("ViT-B-32", "laion2b_s34b_b79k"),
    "laion/clip-vit-b-16-laion2b-s34b-b88k": ("ViT-B-16", "laion2b_s34b_b88k"),
    "laion/clip-vit-l-14-laion2b-s32b-b82k": ("ViT-L-14", "laion2b_s32b_b82k"),
    "laion/clip-vit-h-14-laion2b-s32b-b79k": ("ViT-H-14", "laion2b_s32b_b79k"),
}
"""Hugging Face names and their open_clip equals, by lower case."""

USUAL_TAGS = {
    "ViT-B-32": "laion2b_s34b_b79k",
    "ViT-B-16": "laion2b_s34b_b88k",
    "ViT-L-14": "laion2b_s32b_b82k",
    "ViT-H-14": "laion2b_s32b_b79k",
    "RN50": "openai",
    "ViT-B-16-SigLIP": "webli",
    "convnext_base_w": "laion2b_s13b_b82k",
    "MobileCLIP-S1": "datacompdr",
    "MobileCLIP-S2": "datacompdr",
}
"""The tag taken where none is given."""


@dataclass(frozen=True)
class ModelName:
    """`name` and `pretrained` as recorded; `open_clip_name` and `weights` as open_clip wants them."""

    name: str
    pretrained: str | None
    open_clip_name: str
    weights: str | None
    is_tag: bool = False
    schema: str | None = None
    config_file: Path | None = None


def resolve_name(name: str, pretrained: str | None) -> ModelName:
    """What `model.name` and `model.pretrained` mean. Raises ModelError where they mean nothing."""
    if name == tiny.MODEL_NAME:
        weights = _existing(pretrained) if pretrained else str(tiny.WEIGHTS_PATH)
        return ModelName(name, weights if pretrained else None, name, weights)
    if name.endswith(".json"):
        return _from_config_file(Path(name), pretrained)
    if Path(name).is_dir() and open_clip.get_model_config(name) is None:
        return _from_folder(Path(name), pretrained)
    if name.lower() in HUGGING_FACE:
        architecture, tag = HUGGING_FACE[name.lower()]
        return _from_architecture(architecture, pretrained or tag)
    if name.startswith("hf-hub:"):
        return ModelName(name, None, name, None, schema="hf-hub")
    if open_clip.get_model_config(name) is None:
        raise ModelError(
            f"model.name: unknown model '{name}'{near_names(name, [*open_clip.list_models(), *HUGGING_FACE])}",
            hint="an open_clip architecture, clipft-tiny, hf-hub:owner/name, a model config .json"
            " or a checkpoint folder",
        )
    return _from_architecture(name, pretrained)


def near_names(name: str, known: Iterable[str]) -> str:
    """`; near ones: ...` for a name that is not in `known`."""
    by_lower = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)
    return f"; near ones: {', '.join(by_lower[item] for item in near)}" if near else ""


def _from_config_file(config_file: Path, pretrained: str | None) -> ModelName:
    if not config_file.is_file():
        raise ModelError(f"model.name: {config_file}: no such file")
    if pretrained is None:
        raise ModelError(
            f"model.name: {config_file} describes an architecture; its weights are missing",
            hint="add model.pretrained with the weights file",
        )
    weights = _existing(pretrained)
    return ModelName(str(config_file.resolve()), weights, config_file.stem, weights, config_file=config_file)


def _from_folder(folder: Path, pretrained: str | None) -> ModelName:
    if pretrained is not None:
        raise ModelError(f"model.pretrained: {folder} holds its own weights, leave model.pretrained out")
    if not (folder / OPEN_CLIP_CONFIG_FILE).is_file():
        if is_transformers_folder(folder):
            return ModelName(str(folder.resolve()), None, f"local-dir:{converted(folder)}", None, schema="local-dir")
        folder = find_checkpoint(folder)  # a run of this project
    if (folder / CHECKPOINT_FILE).is_file() and not (folder / TOWER_FILE).is_file():
        raise ModelError(
            f"model.name: {folder} holds what a run has trained, and no whole model",
            hint="start from its base model, or from a run of --method full",
        )
    path = str(folder.resolve())
    return ModelName(path, None, f"local-dir:{path}", None, schema="local-dir")


def _from_architecture(architecture: str, pretrained: str | None) -> ModelName:
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    tag = pretrained or USUAL_TAGS.get(architecture) or (tags[0] if len(tags) == 1 else None)
    if tag is None:
        listed = ", ".join(tags) or "none known to open_clip"
        raise ModelError(f"model.pretrained: {architecture} needs a tag or a weights file; tags: {listed}")
    if tag in tags:
        return ModelName(architecture, tag, architecture, tag, is_tag=True)
    if Path(tag).is_file():
        weights = _existing(tag)
        return ModelName(architecture, weights, architecture, weights)
    raise ModelError(
        f"model.pretrained: '{tag}' is neither a tag of {architecture} nor a file{near_names(tag, tags)}",
        hint=f"tags: {', '.join(tags) or 'none'}",
    )


def _existing(weights: str) -> str:
    """The absolute path of a weights file, so that the record holds from every folder."""
    if not Path(weights).is_file():
        raise ModelError(f"model.pretrained: {weights}: no such file")
    return str(Path(weights).resolve())
