"""QLoRA: LoRA beside an image tower whose linear weights are held in four bits. Source: Dettmers et al. 2023."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..model.classifier import Classifier, Head
from ..model.lora_linear import pack_linears
from ..model.nf4 import pack, require_bitsandbytes
from ..model.vit import why_unsupported
from . import lora
from .base import ADAPTERS, Method, MethodSettings


def prepare(clip: nn.Module, settings: MethodSettings) -> None:
    """Put the image tower's linear weights into NF4, where they are not.

    Raises MissingExtraError without bitsandbytes, ModelError for a tower that adapters cannot reach.
    """
    require_bitsandbytes()
    lora.prepare(clip, settings)
    visual: Any = clip.visual
    if why_unsupported(visual) is None:
        for block in visual.transformer.resblocks:
            pack(block.attn, "in_proj_weight")
            for layer in (block.attn.out_proj, block.mlp.c_fc, block.mlp.c_proj):
                pack(layer, "weight")
    else:
        pack_linears(visual)


def attach(clip: nn.Module, head: Head, settings: MethodSettings) -> Classifier:
    """`lora`'s classifier, on weights in NF4: at the start its output is the packed tower's.

    Raises MissingExtraError without bitsandbytes, ModelError for a tower that adapters cannot reach.
    """
    prepare(clip, settings)
    return lora.attach(clip, head, settings)


QLORA = Method(
    "qlora",
    attach,
    lora.layers,
    has_adapters=True,
    peak_rates=ADAPTERS,
    require=require_bitsandbytes,
    prepare=prepare,
)
