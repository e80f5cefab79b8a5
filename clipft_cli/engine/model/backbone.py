"""The pretrained model: found by name, loaded by open_clip, with everything that belongs to it."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.pretrained import download_pretrained_from_hf
from torch import nn

from ...config.model import ModelConfig
from ...demo import tiny
from ...errors import DownloadError, MissingExtraError, ModelError
from ..files.digest import file_digest
from ..files.regular import regular_text
from ..images.transforms import Preprocess
from ..run_dir import OPEN_CLIP_CONFIG_FILE
from .base_model import BaseModel
from .foreign import check_model_cfg
from .hub import cache_only_if_offline, quiet
from .listed import refuse_damaged
from .names import ModelName, resolve_name
from .weights_file import check_local_weights, file_of, holds_tower, local_files, weights_digest
from .why_not_loaded import explained, innermost

Tokenizer = Callable[[list[str]], torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """An open_clip model in float32, its tokenizer and its preprocessing."""

    model: nn.Module
    tokenizer: Tokenizer
    preprocess: Preprocess
    base: BaseModel


def load_backbone(config: ModelConfig) -> Backbone:
    """The pretrained model `config` names, on the CPU, in float32.

    Raises ModelError for an unknown name, tag or unfitting file, DownloadError where weights cannot be fetched.
    """
    name = resolve_name(config.name, config.pretrained)
    local = [path for path in local_files(name) if path.exists()]
    refuse_damaged(*local)
    _register(name, config.cache_dir)
    for file in local:
        check_local_weights(file)
    model = _create(name, config.cache_dir)
    model_cfg = _model_cfg(name)
    tokenizer = _tokenizer(name)
    source = file_of(name, model, config.cache_dir)
    base = BaseModel(
        name.name,
        name.pretrained,
        has_quick_gelu(model),
        weights_digest(model),
        model_cfg,
        str(config.cache_dir.resolve()) if config.cache_dir else None,
        str(source) if source else None,
        file_digest(source) if source else None,
    )
    return Backbone(model, tokenizer, Preprocess.from_config(_preprocess_cfg(model)), base)


def is_named_by_open_clip(base: BaseModel) -> bool:
    """Whether the weights are found by a name: a tag, a repository of the hub, the embedded model's."""
    if base.name == tiny.MODEL_NAME:
        return base.pretrained is None
    return base.name.startswith("hf-hub:") or base.pretrained in open_clip.list_pretrained_tags_by_model(base.name)


def backbone_of_file(base: BaseModel, file: Path, preprocess: Preprocess) -> Backbone:
    """The model that a checkpoint describes as its `base`, with the weights in `file`.

    Raises ModelError where the file does not fit, or the description would do more than name shapes.
    """
    check_model_cfg(base.model_cfg, base.name)
    check_local_weights(file)
    try:
        model = build_untrained(base.model_cfg)
        with quiet():
            open_clip.load_checkpoint(model, str(file), weights_only=True)
    except Exception as error:  # of as many kinds as there are ways not to fit
        raise ModelError(f"{file}: does not fit the architecture {base.name}: {innermost(error)}") from error

    def tokenizer(texts: list[str]) -> torch.Tensor:
        with tempfile.TemporaryDirectory() as folder:  # open_clip reads an architecture from a file
            described = Path(folder) / f"clipft-{base.digest[:16]}.json"
            described.write_text(json.dumps(base.model_cfg), encoding="utf-8")
            open_clip.add_model_config(described)
        name = ModelName(base.name, None, described.stem, None)
        return _tokenizer(name)(texts)

    is_safe = file.suffix == ".safetensors" and holds_tower(file, model)
    found = replace(
        base,
        quick_gelu=has_quick_gelu(model),
        weights_sha256=weights_digest(model),
        file=str(file.resolve()) if is_safe else None,
        file_sha256=file_digest(file) if is_safe else None,
    )
    return Backbone(model, tokenizer, preprocess, found)


def build_untrained(model_cfg: dict[str, Any]) -> nn.Module:
    """The architecture of `model_cfg` (open_clip's own form) with weights still to be loaded."""
    cfg = json.loads(json.dumps(model_cfg))
    custom = cfg.pop("custom_text", False) or "hf_model_name" in cfg.get("text_cfg", {})
    if "timm_model_name" in cfg.get("vision_cfg", {}):
        cfg["vision_cfg"]["timm_model_pretrained"] = False
    if "hf_model_name" in cfg.get("text_cfg", {}):
        cfg["text_cfg"]["hf_model_pretrained"] = False
    kind = open_clip.CoCa if "multimodal_cfg" in cfg else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    with quiet():
        model: nn.Module = kind(**cfg)
    return model


def _register(name: ModelName, cache_dir: Path | None) -> None:
    if name.name == tiny.MODEL_NAME:
        tiny.register()
    elif name.config_file is not None:
        try:
            content = json.loads(regular_text(name.config_file))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{name.config_file}: not a readable JSON model config ({error})") from None
        if not isinstance(content, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(content):
            raise ModelError(f"{name.config_file}: an open_clip model config has embed_dim, vision_cfg and text_cfg")
        check_model_cfg(content, str(name.config_file))
        open_clip.add_model_config(name.config_file)
    elif name.schema is not None:
        _check_foreign(name, cache_dir)


def _check_foreign(name: ModelName, cache_dir: Path | None) -> None:
    """What a folder or a hub repository says of its model is read here first: open_clip would do as it says."""
    schema, place = name.open_clip_name.split(":", 1)
    try:
        if schema == "hf-hub":
            with quiet(), _reaching(name):
                folder = str(cache_dir) if cache_dir else None
                file = Path(download_pretrained_from_hf(place, filename=OPEN_CLIP_CONFIG_FILE, cache_dir=folder))
        else:
            file = Path(place) / OPEN_CLIP_CONFIG_FILE
        content = json.loads(regular_text(file))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name.name}: {OPEN_CLIP_CONFIG_FILE} is not readable JSON ({error})") from None
    except Exception as error:
        raise explained(name, error) from error
    check_model_cfg(content.get("model_cfg") if isinstance(content, dict) else None, name.name)


def _create(name: ModelName, cache_dir: Path | None) -> nn.Module:
    force_quick_gelu = _tag_wants_quick_gelu(name)
    try:
        with quiet(), _reaching(name):
            return open_clip.create_model(  # type: ignore[no-any-return]
                name.open_clip_name,
                pretrained=name.weights,
                force_quick_gelu=force_quick_gelu,
                cache_dir=str(cache_dir) if cache_dir else None,
                require_pretrained=True,
                weights_only=True,
            )
    except Exception as error:
        raise explained(name, error) from error


def _reaching(name: ModelName) -> contextlib.AbstractContextManager[None]:
    return cache_only_if_offline() if name.is_tag or name.schema == "hf-hub" else contextlib.nullcontext()


def _tokenizer(name: ModelName) -> Tokenizer:
    try:
        with quiet():
            return open_clip.get_tokenizer(name.open_clip_name)  # type: ignore[no-any-return]
    except ImportError as error:
        raise _missing_package(name, error) from None
    except OSError as error:
        raise DownloadError(
            f"the tokenizer of {name.name} could not be fetched: {str(error).splitlines()[0]}",
            hint="connect to the internet once",
        ) from error


def _missing_package(name: ModelName, error: ImportError) -> MissingExtraError:
    """Some libraries name the package that they need in words alone: those are passed on."""
    if error.name:
        return MissingExtraError(
            f"{name.name}: its tokenizer needs the package '{error.name}'", hint=f"pip install {error.name}"
        )
    said = " ".join(str(error).split())
    return MissingExtraError(f"{name.name}: its tokenizer needs a package that is not installed: {said[:200]}")


def _tag_wants_quick_gelu(name: ModelName) -> bool:
    """Whether the tag was trained with QuickGELU. Building it without is silent, and spoils the weights."""
    if not name.is_tag:
        return False
    tag_cfg = open_clip.get_pretrained_cfg(name.open_clip_name, name.weights) or {}
    built = bool((open_clip.get_model_config(name.open_clip_name) or {}).get("quick_gelu", False))
    wanted = bool(tag_cfg.get("quick_gelu", False))
    if built and not wanted:
        raise ModelError(
            f"{name.name}: this architecture has QuickGELU, the tag '{name.weights}' was trained without it",
            hint=f"use model.name {name.name.removesuffix('-quickgelu')}",
        )
    return wanted


def _model_cfg(name: ModelName) -> dict[str, Any]:
    cfg = dict(open_clip.get_model_config(name.open_clip_name))
    if _tag_wants_quick_gelu(name):
        cfg["quick_gelu"] = True
    return json.loads(json.dumps(cfg))  # type: ignore[no-any-return]


def _preprocess_cfg(model: nn.Module) -> dict[str, Any]:
    return open_clip.model.get_model_preprocess_cfg(model)  # type: ignore[no-any-return]


def has_quick_gelu(model: nn.Module) -> bool:
    """Whether the activation really built is QuickGELU, whatever a description says."""
    return any(type(module).__name__ == "QuickGELU" for module in model.modules())
