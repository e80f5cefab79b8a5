"""Parameter groups: every trainable parameter in exactly one, with its layer, peak learning rate and decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from ...config.optim import LayerwiseLRConfig, TrainingConfig
from ..events import Group
from ..model.layers import HEAD, STEM, TEXT, TOP, Layer
from .unfreeze import UnfreezePlan

_EMBEDDINGS = ("embedding", "pos_embed", "cls_token", "reg_token", "logit_scale")
NO_DECAY = "/no_decay"
"""How the name of a group ends on which there is no weight decay."""


def layer_factors(layers: Sequence[Layer], config: LayerwiseLRConfig) -> list[float]:
    """Factor of each layer on the peak learning rate.

    Block i of L: decay ** (L - 1 - i), so the top block is at exactly 1; the stem: decay ** L; top and head: 1.
    Each tower by itself.
    """
    decay = config.decay_rate if config.enabled else 1.0
    names = [layer.name for layer in layers]
    return [decay ** _blocks_above(name, names) if name not in (HEAD, TOP, TEXT + TOP) else 1.0 for name in names]


def _blocks_above(name: str, names: Sequence[str]) -> int:
    """How many blocks of its own tower lie above a stem or a block."""
    tower = TEXT if name.startswith(TEXT) else ""
    blocks = [other for other in names if other.startswith(f"{tower}block.")]
    return len(blocks) if name == tower + STEM else len(blocks) - 1 - blocks.index(name)


def build_groups(
    parameters: Mapping[str, nn.Parameter], layers: Sequence[Layer], config: TrainingConfig
) -> list[Group]:
    """One or two groups a layer: with weight decay, and without (1-D and embedding parameters)."""
    groups = []
    for i, (layer, factor) in enumerate(zip(layers, layer_factors(layers, config.layerwise_lr), strict=True)):
        for suffix, decay, names in _by_decay(layer, parameters, config.weight_decay):
            groups.append(
                Group(
                    name=layer.name + suffix,
                    layer=i,
                    parameters=names,
                    n_parameters=sum(parameters[name].numel() for name in names),
                    peak_lr=config.peak_lr * factor,
                    weight_decay=decay,
                )
            )
    return groups


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay is for this parameter: matrices and kernels, not norms, biases or embeddings."""
    return parameter.ndim > 1 and not any(word in name for word in _EMBEDDINGS)


def _by_decay(
    layer: Layer, parameters: Mapping[str, nn.Parameter], weight_decay: float
) -> list[tuple[str, float, tuple[str, ...]]]:
    decayed = tuple(name for name in layer.parameters if is_decayed(name, parameters[name]))
    rest = tuple(name for name in layer.parameters if name not in set(decayed))
    kinds = [("", weight_decay, decayed), (NO_DECAY, 0.0, rest)]
    return [(suffix, decay, names) for suffix, decay, names in kinds if names]


def in_words(groups: Sequence[Group]) -> str:
    """The layers of `groups`, lowest first, as `stem to block.10`."""
    names = list(dict.fromkeys(group.name.removesuffix(NO_DECAY) for group in groups))
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def by_rate(groups: Sequence[Group], plan: UnfreezePlan) -> dict[str, int]:
    """One group for each course of the learning rate: the layers that share it -> the index of the first of them."""
    alike: dict[tuple[float, int | None], list[int]] = {}
    for number, group in enumerate(groups):
        alike.setdefault((group.peak_lr, plan.first_epoch[group.layer]), []).append(number)
    return {in_words([groups[i] for i in numbers]): numbers[0] for numbers in alike.values()}
