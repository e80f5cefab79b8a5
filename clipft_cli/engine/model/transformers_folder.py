"""A CLIP as `transformers` saves it, converted to open_clip's form: the names of tensors map one to one.

The layouts are those of transformers' CLIPModel (models/clip/modeling_clip.py) and open_clip's CLIP (model.py). Tensors
keep their values; the three projections of an attention layer stand in one matrix in open_clip, and the two
projections to the common space are transposed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from ..files.cache_files import cache_folder
from ..files.regular import as_regular, regular_bytes, regular_text
from ..files.visible import quoted, shown
from ..files.write import write_bytes, write_text
from ..run_dir import OPEN_CLIP_CONFIG_FILE, TOWER_FILE
from .foreign import check_model_cfg

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
_FORMAT = 1
_RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as preprocessor_config.json has them, for what open_clip calls an interpolation."""

OUTER = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    **{
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in (
            ("vision_model.pre_layrnorm", "visual.ln_pre"),
            ("vision_model.post_layernorm", "visual.ln_post"),
            ("text_model.final_layer_norm", "ln_final"),
        )
        for part in ("weight", "bias")
    },
}
_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def is_transformers_folder(folder: Path) -> bool:
    """Whether `folder` holds a model as transformers saves it, of whatever kind."""
    return (folder / CONFIG_FILE).is_file() and bool(_json(folder / CONFIG_FILE).get("model_type"))


def converted(folder: Path) -> Path:
    """A folder in open_clip's form with the model of `folder`, in the user's cache; made where it is not there yet.

    Raises ModelError where it is another kind of model than CLIP, or not whole.
    """
    config = _json(folder / CONFIG_FILE)
    kind = config.get("model_type")
    if kind != "clip":
        raise ModelError(
            f"model.name: {folder}: is a transformers model of type {shown(str(kind), 40)}; of these clipft reads clip",
            hint="name the same model as open_clip does: `--set model.name=hf-hub:OWNER/NAME`, or its architecture",
        )
    model_cfg = _model_cfg(folder, config)
    check_model_cfg(model_cfg, str(folder / CONFIG_FILE))
    files = _weights_files(folder)
    target = cache_folder() / "converted" / _key(folder, files)
    if not (target / OPEN_CLIP_CONFIG_FILE).is_file():
        from safetensors.torch import save  # torch, which a look at a folder does not need

        tensors = _open_clip_tensors(_tensors(files), folder)
        described = {"model_cfg": model_cfg, "preprocess_cfg": _preprocess_cfg(folder)}
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_bytes(target / TOWER_FILE, save({name: tensors[name] for name in sorted(tensors)}))
        write_text(target / OPEN_CLIP_CONFIG_FILE, json.dumps(described, indent=1) + "\n")
    return target


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(regular_text(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _key(folder: Path, files: list[Path]) -> str:
    """Digest of what the conversion reads: descriptions by content, weights by place, size and time."""
    texts = [regular_bytes(folder / name) for name in (CONFIG_FILE, PREPROCESSOR_FILE) if (folder / name).is_file()]
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(b"\0".join([*texts, repr((_FORMAT, states)).encode()])).hexdigest()[:32]


def _weights_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    index = _json(folder / INDEX_FILE).get("weight_map")
    if isinstance(index, Mapping):
        names = sorted({name for name in index.values() if isinstance(name, str) and Path(name).name == name})
        if names and all((folder / name).is_file() for name in names):
            return [folder / name for name in names]
        raise ModelError(f"model.name: {folder}: {INDEX_FILE} names weights that are not there")
    hint = f"in Python: `CLIPModel.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})` writes it"
    found = ", ".join(sorted(path.name for path in folder.glob("*.bin")))
    other = f" (there is {shown(found, 80)}, a pickle, which is never opened)" if found else ""
    raise ModelError(f"model.name: {folder}: is a transformers model without {WEIGHTS_FILE}{other}", hint=hint)


def _tensors(files: list[Path]) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    tensors = {}
    for file in files:
        try:
            with safe_open(as_regular(file), "pt") as opened:
                tensors.update({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file}: is no weights file: {error}") from None
    return tensors


def _model_cfg(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's description of the same shapes. What transformers leaves out has its default there, ViT-B/32's."""
    vision, text = config.get("vision_config") or {}, config.get("text_config") or {}
    try:
        width, heads = int(vision.get("hidden_size", 768)), int(vision.get("num_attention_heads", 12))
        text_width = int(text.get("hidden_size", 512))
        quick_gelu = {part.get("hidden_act", "quick_gelu") for part in (vision, text)}
        if quick_gelu not in ({"quick_gelu"}, {"gelu"}):
            raise ModelError(f"model.name: {folder}: its activations {sorted(quick_gelu)} have no equal in open_clip")
        return {
            "embed_dim": int(config.get("projection_dim", 512)),
            "quick_gelu": quick_gelu == {"quick_gelu"},
            "vision_cfg": {
                "image_size": int(vision.get("image_size", 224)),
                "layers": int(vision.get("num_hidden_layers", 12)),
                "width": width,
                "head_width": width // heads,
                "patch_size": int(vision.get("patch_size", 32)),
                "mlp_ratio": int(vision.get("intermediate_size", 4 * width)) / width,
            },
            "text_cfg": {
                "context_length": int(text.get("max_position_embeddings", 77)),
                "vocab_size": int(text.get("vocab_size", 49408)),
                "width": text_width,
                "heads": int(text.get("num_attention_heads", 8)),
                "layers": int(text.get("num_hidden_layers", 12)),
                "mlp_ratio": int(text.get("intermediate_size", 4 * text_width)) / text_width,
            },
        }
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ModelError(f"model.name: {folder / CONFIG_FILE}: does not describe a CLIP ({error})") from None


def _preprocess_cfg(folder: Path) -> dict[str, Any]:
    """mean, std and interpolation, where the folder says them; those of OpenAI's CLIP elsewhere."""
    said = _json(folder / PREPROCESSOR_FILE)
    found: dict[str, Any] = {}
    for theirs, ours in (("image_mean", "mean"), ("image_std", "std")):
        value = said.get(theirs)
        if isinstance(value, list) and len(value) == 3 and all(isinstance(part, int | float) for part in value):
            found[ours] = [float(part) for part in value]
    if said.get("resample") in _RESAMPLING:
        found["interpolation"] = _RESAMPLING[said["resample"]]
    return found


def _open_clip_tensors(theirs: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    import torch

    ours = {}
    try:
        for name, tensor in theirs.items():
            if name in OUTER:
                ours[OUTER[name]] = tensor.squeeze() if name == "vision_model.embeddings.class_embedding" else tensor
            elif name in _TRANSPOSED:
                ours[_TRANSPOSED[name]] = tensor.T.contiguous()
            elif (found := _block_name(name)) is not None:
                ours[found] = tensor
        for lead in sorted(
            {name.rpartition(".self_attn.q_proj.")[0] for name in theirs if ".self_attn.q_proj." in name}
        ):
            for part in ("weight", "bias"):
                rows = [theirs[f"{lead}.self_attn.{which}_proj.{part}"] for which in "qkv"]
                ours[f"{_block(lead)}.attn.in_proj_{part}"] = torch.cat(rows)
    except KeyError as error:
        raise ModelError(f"model.name: {folder}: a part of its weights is missing: {error.args[0]}") from None
    return ours


def _block(lead: str) -> str:
    """`vision_model.encoder.layers.3` -> `visual.transformer.resblocks.3`."""
    side, _, number = lead.partition(".encoder.layers.")
    return f"{'visual.' if side == 'vision_model' else ''}transformer.resblocks.{number}"


def _block_name(name: str) -> str | None:
    side, middle, rest = name.partition(".encoder.layers.")
    number, _, inner = rest.partition(".")
    module, _, part = inner.rpartition(".")
    if not middle or module not in BLOCK:
        return None
    return f"{_block(f'{side}.encoder.layers.{number}')}.{BLOCK[module]}.{part}"


def file_hint(file: Path) -> str | None:
    """The way out where `file` is the weights of a transformers folder, given as if it were open_clip's."""
    folder = file.parent
    if file.name in (WEIGHTS_FILE, "pytorch_model.bin") and is_transformers_folder(folder):
        return f"it is part of a transformers folder: give that, `--set model.name={quoted(folder)}`"
    return None
