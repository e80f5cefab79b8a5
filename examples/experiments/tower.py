"""The same pretrained image tower in three libraries: open_clip's, Hugging Face's and timm's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.model.backbone import Backbone, load_backbone


def backbone_in(weights: Path) -> Backbone:
    """The open_clip model of a folder that holds one architecture (.json) and one file of weights."""
    return load_backbone(ModelConfig(name=str(architecture_in(weights)), pretrained=str(weights_in(weights))))


def architecture_in(weights: Path) -> Path:
    """The open_clip model config."""
    return next(weights.glob("*.json"))


def weights_in(weights: Path) -> Path:
    """The weights themselves."""
    return next(weights.glob("*.safetensors"))


def hugging_face_classifier(weights: Path, n_classes: int) -> nn.Module:
    """CLIPForImageClassification: a new linear head on the mean of the patch tokens, the tower as pretrained."""
    from transformers import CLIPConfig, CLIPForImageClassification

    visual: Any = backbone_in(weights).model.visual
    width, n_blocks = visual.conv1.out_channels, len(visual.transformer.resblocks)
    vision = {
        "hidden_size": width,
        "intermediate_size": visual.transformer.resblocks[0].mlp.c_fc.out_features,
        "num_hidden_layers": n_blocks,
        "num_attention_heads": visual.transformer.resblocks[0].attn.num_heads,
        "image_size": visual.image_size[0],
        "patch_size": visual.conv1.kernel_size[0],
        "hidden_act": "gelu",
        "layer_norm_eps": visual.ln_post.eps,
    }
    model = CLIPForImageClassification(CLIPConfig(vision_config=vision, num_labels=n_classes))
    tower: Any = model.vision_model
    if isinstance(visual.ln_pre, nn.Identity):
        tower.pre_layrnorm = nn.Identity()
    tower.load_state_dict(_hugging_face_names(visual.state_dict()), strict=True)
    return model


def timm_classifier(weights: Path, n_classes: int) -> nn.Module:
    """timm's VisionTransformer with the tower as pretrained and a head of zeros on the class token."""
    import timm

    visual: Any = backbone_in(weights).model.visual
    model = timm.create_model(
        "vit_tiny_patch16_224",
        num_classes=n_classes,
        embed_dim=visual.conv1.out_channels,
        depth=len(visual.transformer.resblocks),
        num_heads=visual.transformer.resblocks[0].attn.num_heads,
    )
    model.load_state_dict(_timm_names(visual.state_dict()), strict=False)
    nn.init.zeros_(model.patch_embed.proj.bias)
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    return model


@torch.no_grad()
def disagreement(weights: Path) -> dict[str, float]:
    """Largest difference of the class token after the last norm, between open_clip's tower and each copy.

    Hugging Face's is left out where its library is not installed.
    """
    visual: Any = backbone_in(weights).model.visual.eval()
    images = torch.randn(2, 3, *visual.image_size, generator=torch.Generator().manual_seed(0))
    projection, visual.proj = visual.proj, None
    ours = visual(images)
    visual.proj = projection
    timm: Any = timm_classifier(weights, 2).eval()
    copies = {"timm": timm.forward_head(timm.forward_features(images), pre_logits=True)}
    if find_spec("transformers"):
        copies["hugging_face"] = hugging_face_classifier(weights, 2).eval().vision_model(images).pooler_output
    return {name: float((ours - theirs).abs().max()) for name, theirs in copies.items()}


def _hugging_face_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {
        "class_embedding": "embeddings.class_embedding",
        "positional_embedding": "embeddings.position_embedding.weight",
        "conv1.weight": "embeddings.patch_embedding.weight",
        "ln_pre.weight": "pre_layrnorm.weight",
        "ln_pre.bias": "pre_layrnorm.bias",
        "ln_post.weight": "post_layernorm.weight",
        "ln_post.bias": "post_layernorm.bias",
    }
    parts = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    found = {}
    for name, value in state.items():
        if name in plain:
            found[plain[name]] = value
            continue
        if not name.startswith("transformer.resblocks."):
            continue  # the projection, which this head does not use
        _, _, index, rest = name.split(".", 3)
        block = f"encoder.layers.{index}."
        if rest.startswith("attn.in_proj_"):
            kind = rest.removeprefix("attn.in_proj_")
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                found[f"{block}self_attn.{letter}_proj.{kind}"] = third
            continue
        part, kind = rest.rsplit(".", 1)
        found[f"{block}{parts[part]}.{kind}"] = value
    return found


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    parts = {
        "ln_1": "norm1",
        "ln_2": "norm2",
        "attn.out_proj": "attn.proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    found = {
        "cls_token": state["class_embedding"][None, None],
        "pos_embed": state["positional_embedding"][None],
        "patch_embed.proj.weight": state["conv1.weight"],
        "norm.weight": state["ln_post.weight"],
        "norm.bias": state["ln_post.bias"],
    }
    for name, value in state.items():
        if not name.startswith("transformer.resblocks."):
            continue
        _, _, index, rest = name.split(".", 3)
        if rest.startswith("attn.in_proj_"):
            found[f"blocks.{index}.attn.qkv.{rest.removeprefix('attn.in_proj_')}"] = value
            continue
        part, kind = rest.rsplit(".", 1)
        found[f"blocks.{index}.{parts[part]}.{kind}"] = value
    return found
