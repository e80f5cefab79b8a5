"""The image tower as an ordered list of layers, from pixels to features: the one order everything asks.

Learning-rate decay, unfreezing, adapters and the frozen prefix all use this list.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from ...errors import ConfigError, ModelError

STEM, TOP, HEAD = "stem", "top", "classifier"
TEXT = "text."
"""What the names of the text tower's layers begin with."""

_TOP_ALIASES = ("visual.ln_post", "visual.proj", "vision_model.post_layernorm", "visual_projection")


@dataclass(frozen=True)
class Layer:
    """`parameters` are names within the classifier (`clip.visual...`, `head...`); `aliases` other systems' names."""

    name: str
    parameters: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name this layer is known under."""
        return (self.name, *self.aliases)


def image_layers(visual: nn.Module, prefix: str = "clip.visual.") -> tuple[Layer, ...]:
    """The tower's layers in order: stem, blocks, top. Every parameter of `visual` is in exactly one.

    Raises ModelError for a tower of an unknown family.
    """
    family = type(visual).__name__
    if family == "VisionTransformer":
        groups = _vit_groups(visual)
    elif family == "ModifiedResNet":
        groups = _resnet_groups(visual)
    elif family == "TimmModel":
        groups = _timm_groups(visual)
    else:
        raise ModelError(f"the image tower {family} has no layer list yet: it cannot be fine-tuned layer by layer")
    blocks = [group for group in groups if group not in (STEM, TOP)]
    layers = [_layer(STEM, groups.get(STEM, []), prefix, ("embeddings", "vision_model.embeddings", "visual.conv1"))]
    layers += [_layer(f"block.{i}", groups[block], prefix, _block_aliases(i, block)) for i, block in enumerate(blocks)]
    layers.append(_layer(TOP, groups.get(TOP, []), prefix, _TOP_ALIASES))
    return tuple(layer for layer in layers if layer.parameters)


def text_tower(clip: nn.Module) -> Any:
    """The module that holds the text transformer: `CustomTextCLIP.text`, or the flat `CLIP` itself."""
    return clip.text if isinstance(getattr(clip, "text", None), nn.Module) else clip


def text_layers(clip: nn.Module) -> tuple[Layer, ...]:
    """The text tower's layers in order, from tokens to class vectors: where it trains, it is the head.

    Every parameter of the tower is in exactly one; CLIP's temperature is in none.
    """
    tower = text_tower(clip)
    prefix = "clip." if tower is clip else "clip.text."
    groups: dict[str, list[str]] = {STEM: []}
    top = []
    for name, _ in tower.named_parameters():
        block = re.match(r"transformer\.resblocks\.(\d+)\.", name)
        if block:
            groups.setdefault(f"block.{block[1]}", []).append(name)
        elif name.startswith(("ln_final.", "text_projection")):
            top.append(name)
        elif not name.startswith(("visual.", "logit_")):
            groups[STEM].append(name)
    groups[TOP] = top
    return tuple(
        _layer(TEXT + name, names, prefix, _text_aliases(name, prefix)) for name, names in groups.items() if names
    )


def _text_aliases(name: str, prefix: str) -> tuple[str, ...]:
    if name == TOP:
        return (HEAD, *head_layer(()).aliases, "text_projection")
    if name == STEM:
        return ("text_model.embeddings", "token_embedding")
    number = name.removeprefix("block.")
    return (f"text_model.encoder.layers.{number}", f"{prefix.removeprefix('clip.')}transformer.resblocks.{number}")


def head_layer(parameters: Iterable[str]) -> Layer:
    """The layer of the classifier's head."""
    return Layer(HEAD, tuple(parameters), ("head", "fc", "linear"))


def match_layers(patterns: Sequence[str], layers: Sequence[Layer], key: str) -> frozenset[int]:
    """Indexes into `layers` of those that a name or glob in `patterns` means; `all` is every layer.

    Raises ConfigError for a pattern that means none, listing near ones.
    """
    found: set[int] = set()
    unknown: list[str] = []
    for pattern in patterns:
        wanted = pattern.strip().removesuffix(".*") if pattern.strip() != "*" else "all"
        hits = {i for i, layer in enumerate(layers) if wanted == "all" or _means(wanted, layer)}
        if not hits:
            unknown.append(f"{key}: no layer is called '{pattern}'{_near_layers(wanted, layers)}")
        found |= hits
    if unknown:
        raise ConfigError("\n".join(unknown))
    return frozenset(found)


def describe_layers(layers: Sequence[Layer], active: frozenset[int]) -> str:
    """`all`, or the names of the layers that train, runs of blocks shortened."""
    if len(active) == len(layers):
        return "all"
    names = [layers[i].name for i in sorted(active)]
    for tower in (TEXT, ""):
        names = _with_runs_shortened(names, f"{tower}block.")
    return " + ".join(names)


def _with_runs_shortened(names: list[str], kind: str) -> list[str]:
    blocks = [name for name in names if name.startswith(kind)]
    numbers = [int(name.removeprefix(kind)) for name in blocks]
    if len(blocks) < 3 or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return names
    return [f"{kind}{numbers[0]}-{numbers[-1]}", *(name for name in names if name not in blocks)]


def _means(wanted: str, layer: Layer) -> bool:
    if wanted in ("vision_model.encoder.layers", "visual.transformer.resblocks", "block", "blocks"):
        return layer.name.startswith("block.")
    if wanted in ("text", "text_model", "text_model.encoder.layers"):
        return layer.name.startswith(TEXT if wanted != "text_model.encoder.layers" else f"{TEXT}block.")
    return any(name == wanted or fnmatchcase(name, wanted) for name in layer.names)


def _near_layers(wanted: str, layers: Sequence[Layer]) -> str:
    names = [name for layer in layers for name in layer.names]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    blocks = sum(layer.name.startswith("block.") for layer in layers)
    shown = f"; near ones: {', '.join(near)}" if near else ""
    return f"{shown}; this tower has stem, block.0 to block.{blocks - 1}, top, and classifier"


def _block_aliases(i: int, own_name: str) -> tuple[str, ...]:
    return (
        f"blocks.{i}",
        f"layers.{i}",
        f"vision_model.encoder.layers.{i}",
        f"visual.transformer.resblocks.{i}",
        f"transformer.resblocks.{i}",
        f"visual.{own_name}",
    )


def _layer(name: str, parameters: Iterable[str], prefix: str, aliases: tuple[str, ...]) -> Layer:
    return Layer(name, tuple(prefix + parameter for parameter in parameters), aliases)


def _vit_groups(visual: nn.Module) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {STEM: []}
    top = []
    for name, _ in visual.named_parameters():
        block = re.match(r"transformer\.resblocks\.(\d+)\.", name)
        if block:
            groups.setdefault(f"transformer.resblocks.{block[1]}", []).append(name)
        elif name.split(".")[0] in ("ln_post", "proj", "attn_pool"):
            top.append(name)
        else:
            groups[STEM].append(name)
    return {**groups, TOP: top}


def _resnet_groups(visual: nn.Module) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {STEM: []}
    top = []
    for name, _ in visual.named_parameters():
        block = re.match(r"(layer\d+\.\d+)\.", name)
        if block:
            groups.setdefault(block[1], []).append(name)
        elif name.startswith("attnpool."):
            top.append(name)
        else:
            groups[STEM].append(name)
    return {**groups, TOP: top}


def _timm_groups(visual: nn.Module) -> dict[str, list[str]]:
    """timm's own layer order (`group_matcher`); norm and pooling after the blocks and open_clip's head are the top."""
    from timm.models import group_parameters

    trunk: Any = visual.trunk
    by_id = group_parameters(trunk, trunk.group_matcher(coarse=False))
    ids = sorted(by_id)
    groups: dict[str, list[str]] = {STEM: []}
    top: list[str] = []
    for i in ids:
        names = [f"trunk.{name}" for name in by_id[i]]
        if i == ids[0]:
            groups[STEM] += names
            continue
        # timm puts what follows the blocks into the last block's group
        top += [name for name in names if _is_top(name)]
        block = [name for name in names if not _is_top(name)]
        if block:
            groups[f"trunk.group.{i}"] = block
    grouped = {name for names in groups.values() for name in names} | set(top)
    top += [name for name, _ in visual.named_parameters() if name not in grouped]
    return {**groups, TOP: top}


def _is_top(name: str) -> bool:
    return name.removeprefix("trunk.").split(".", maxsplit=1)[0] in (
        "norm",
        "fc_norm",
        "norm_pre",
        "head",
        "attn_pool",
        "final_conv",
    )
