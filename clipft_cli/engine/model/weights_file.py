"""The files that a model's weights lie in: what may be opened, which of them hold a model, and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from torch import nn

from ...errors import ModelError
from ..files.regular import MAX_WEIGHTS_BYTES, as_regular, check_weights_file, open_regular
from ..run_dir import OPEN_CLIP_CONFIG_FILE, TOWER_FILE
from .names import ModelName


def local_files(name: ModelName) -> tuple[Path, ...]:
    """Those on this disk that the model is read from by their place."""
    schema, _, place = name.open_clip_name.partition(":")
    if schema == "local-dir":
        return Path(place) / TOWER_FILE, Path(place) / OPEN_CLIP_CONFIG_FILE
    return (Path(name.weights),) if name.weights and not name.is_tag else ()


def check_local_weights(file: Path) -> None:
    """Raises ModelError for what is no regular file, or larger than any model."""
    try:
        with open_regular(file, MAX_WEIGHTS_BYTES):
            pass
        if file.suffix == ".safetensors":
            check_weights_file(file)
    except FileNotFoundError:
        raise ModelError(f"{file}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{file.name}: ")
        raise ModelError(f"{file}: is no weights file: {reason}") from None


def file_of(name: ModelName, model: nn.Module, cache_dir: Path | None) -> Path | None:
    """The safetensors file that holds this very image tower; None where there is no such file on this disk."""
    schema, _, place = name.open_clip_name.partition(":")
    if name.schema == "local-dir":
        file = Path(place) / TOWER_FILE
    elif name.is_tag or schema == "hf-hub":
        cfg = open_clip.get_pretrained_cfg(name.open_clip_name, name.weights) or {} if name.is_tag else {}
        repository = str(cfg.get("hf_hub", "")).rpartition("/")[0] if name.is_tag else place
        found = try_to_load_from_cache(repository, TOWER_FILE, cache_dir=cache_dir) if repository else None
        file = Path(found if isinstance(found, str) else "")
    else:
        file = Path(name.weights or "")
    return file.resolve() if file.suffix == ".safetensors" and holds_tower(file, model) else None


def holds_tower(file: Path, model: nn.Module) -> bool:
    """Whether the tensors of the image tower in `file` are those of the model, whatever else is in it."""
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("visual.")}
    try:
        with safe_open(as_regular(file), framework="pt") as tensors:
            there = {name for name in tensors.keys() if name.startswith("visual.")}  # noqa: SIM118
            return there == set(own) and all(
                torch.equal(tensors.get_tensor(name).to(tensor.dtype), tensor) for name, tensor in own.items()
            )
    except (OSError, SafetensorError, RuntimeError):
        return False


def weights_digest(model: nn.Module) -> str:
    """sha256 over names, dtypes and bytes of all tensors, in state-dict order."""
    digest = hashlib.sha256()
    for key, tensor in model.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
