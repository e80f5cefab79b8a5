"""open_clip's plain image tower under the names of transformers' CLIPVisionModelWithProjection, and its description."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .image_tower import is_named
from .transformers_folder import BLOCK, OUTER
from .vit import why_unsupported

_TARGETS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "out": "self_attn.out_proj"}
_TARGETS |= {"fc1": "mlp.fc1", "fc2": "mlp.fc2"}
LAYERS = "vision_model.encoder.layers"


def why_not_in_transformers(visual: Any) -> str | None:
    """None if transformers' CLIP computes exactly what this tower does, else the reason in a few words."""
    reason = why_unsupported(visual)
    if reason is not None:
        return reason
    block = visual.transformer.resblocks[0]
    sides = {*visual.conv1.kernel_size}
    grid = visual.positional_embedding.shape[0] - 1
    if not hasattr(visual.ln_pre, "weight"):
        return "it has no norm before its blocks"
    if hasattr(block.ls_1, "gamma"):
        return "its blocks scale their channels"
    if visual.proj is None or len(sides) > 1 or round(grid**0.5) ** 2 != grid:
        return "its patches or images are not square" if visual.proj is not None else "it has no projection"
    return None


def vision_config(visual: Any) -> dict[str, Any]:
    """The arguments of transformers' CLIPVisionConfig for this tower."""
    block, (patch, _) = visual.transformer.resblocks[0], visual.conv1.kernel_size
    width, projection_dim = visual.proj.shape
    gelu = block.mlp.gelu
    plain = {"none": "gelu", "tanh": "gelu_pytorch_tanh"}
    return {
        "hidden_size": width,
        "intermediate_size": block.mlp.c_fc.out_features,
        "num_hidden_layers": len(visual.transformer.resblocks),
        "num_attention_heads": block.attn.num_heads,
        "image_size": round((visual.positional_embedding.shape[0] - 1) ** 0.5) * patch,
        "patch_size": patch,
        "projection_dim": projection_dim,
        "layer_norm_eps": block.ln_1.eps,
        "hidden_act": "quick_gelu" if is_named(gelu, "QuickGELU") else plain[gelu.approximate],
    }


def vision_tensors(visual: Any) -> dict[str, Tensor]:
    """The tower's tensors by the names they have there; the fused projection of an attention layer in three."""
    ours = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    found = {theirs: ours[name] for theirs, name in OUTER.items() if name in ours}
    found["visual_projection.weight"] = ours["visual.proj"].T
    for index in range(len(visual.transformer.resblocks)):
        place = f"visual.transformer.resblocks.{index}"
        for part in ("weight", "bias"):
            for theirs, module in BLOCK.items():
                found[f"{LAYERS}.{index}.{theirs}.{part}"] = ours[f"{place}.{module}.{part}"]
            for which, rows in zip("qkv", ours[f"{place}.attn.in_proj_{part}"].chunk(3), strict=True):
                found[f"{LAYERS}.{index}.self_attn.{which}_proj.{part}"] = rows
    return found


def adapted_module(name: str) -> str:
    """`blocks.3.q`, as clipft's adapters are called -> the module there that it changes."""
    _, index, target = name.split(".")
    return f"{LAYERS}.{index}.{_TARGETS[target]}"
