"""Model descriptions from files of unknown origin: they may name shapes, never code or places to fetch from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ...errors import ModelError

TOKENIZER_KEYS = frozenset({"clean", "strip_sep_token", "language"})
"""What a tokenizer may be told; everything else would reach transformers, `trust_remote_code` among it."""

LIMITS = {
    "layers": 256,
    "width": 32_768,
    "embed_dim": 32_768,
    "heads": 1_024,
    "head_width": 4_096,
    "image_size": 4_096,
    "patch_size": 4_096,
    "context_length": 65_536,
    "vocab_size": 4_000_000,
    "mlp_ratio": 64,
}
"""Far above any published model: a description beyond these is meant to fill the memory."""


def check_model_cfg(cfg: Any, where: str) -> None:
    """Raises ModelError where an open_clip model config would run code, fetch something or fill the memory."""
    if not isinstance(cfg, Mapping):
        raise ModelError(f"{where}: is not an open_clip model config")
    for part in ("vision_cfg", "text_cfg"):
        if not isinstance(cfg.get(part), Mapping):
            raise ModelError(f"{where}: an open_clip model config has {part}")
        _check_sizes(cfg[part], f"{where}: {part}")
    _check_sizes(cfg, where)
    _check_image_tower(cfg["vision_cfg"], where)
    _check_text_tower(cfg["text_cfg"], where)


def _check_image_tower(vision: Mapping[str, Any], where: str) -> None:
    name = vision.get("timm_model_name")
    if name is None:
        return
    import timm

    if not isinstance(name, str) or not timm.is_model(name):
        raise ModelError(f"{where}: {name!r} is no architecture of timm", hint=_HINT)
    if vision.get("timm_model_pretrained"):
        raise ModelError(f"{where}: timm_model_pretrained would download weights", hint=_HINT)


def _check_text_tower(text: Mapping[str, Any], where: str) -> None:
    options = text.get("tokenizer_kwargs") or {}
    if not isinstance(options, Mapping) or not set(options) <= TOKENIZER_KEYS:
        raise ModelError(f"{where}: tokenizer_kwargs may only hold {', '.join(sorted(TOKENIZER_KEYS))}", hint=_HINT)
    for key in ("hf_model_name", "hf_tokenizer_name"):
        name = text.get(key)
        if name and name not in _published(key):
            raise ModelError(f"{where}: {key} {name!r} is none that open_clip's own models use", hint=_HINT)


_HINT = "a model description may name shapes, never code or a place to fetch from"


def _check_sizes(part: Mapping[str, Any], where: str) -> None:
    for key, limit in LIMITS.items():
        values = part.get(key)
        for value in values if isinstance(values, list | tuple) else [values]:
            if isinstance(value, int | float) and not 0 < value <= limit:
                raise ModelError(f"{where}: {key} is {value}, the limit is {limit:,}", hint=_HINT)


@cache
def _published(key: str) -> frozenset[str]:
    """The values of a text tower's key in the model configs that open_clip comes with."""
    import open_clip

    found = (open_clip.get_model_config(name) or {} for name in open_clip.list_models())
    return frozenset(str(cfg.get("text_cfg", {}).get(key)) for cfg in found if cfg.get("text_cfg", {}).get(key))
