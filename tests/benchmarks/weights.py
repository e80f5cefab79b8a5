"""The tensors of an open_clip visual tower under the names of other libraries."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_HUGGING_FACE = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "ln_pre": "vision_model.pre_layrnorm",
    "ln_post": "vision_model.post_layernorm",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_TIMM = {
    "conv1.weight": "patch_embed.proj.weight",
    "ln_pre": "norm_pre",
    "ln_post": "norm",
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.in_proj_": "attn.qkv.",
    "attn.out_proj": "attn.proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCKS = "transformer.resblocks."


def to_hugging_face(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For CLIPVisionModelWithProjection: q, k, v apart, the projection as a linear layer."""
    renamed: dict[str, Tensor] = {"visual_projection.weight": tensors["proj"].T.contiguous()}
    for name, value in tensors.items():
        if name == "proj":
            continue
        if ".attn.in_proj_" in name:
            index, kind = name.removeprefix(_BLOCKS).split(".")[0], name.rsplit("_", 1)[1]
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                key = f"vision_model.encoder.layers.{index}.self_attn.{part}_proj.{kind}"
                renamed[key] = rows.contiguous()
            continue
        renamed[_rename(name, _HUGGING_FACE).replace(_BLOCKS, "vision_model.encoder.layers.")] = value
    return renamed


def to_timm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For timm's VisionTransformer with a head without bias."""
    renamed: dict[str, Tensor] = {
        "cls_token": tensors["class_embedding"].view(1, 1, -1),
        "pos_embed": tensors["positional_embedding"][None],
        "head.weight": tensors["proj"].T.contiguous(),
    }
    for name, value in tensors.items():
        if name not in ("class_embedding", "positional_embedding", "proj"):
            renamed[_rename(name, _TIMM).replace(_BLOCKS, "blocks.")] = value
    return renamed


def _rename(name: str, names: Mapping[str, str]) -> str:
    return next((name.replace(old, new) for old, new in names.items() if old in name), name)
