"""LoRA for the towers that are built of plain nn.Linear layers: timm trunks, Hugging Face text towers.

The layer is exchanged for a `LoraLinear` that holds the same two parameters under the same names, so the
tower's keys do not change; the deltas live in the `LinearAdapters` beside the tower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from .image_tower import is_named
from .lora import TARGETS, LoraAdapters, LoraDelta, LoraShape, adapted_linear, delta_maker, resolve_targets
from .nf4 import FrozenWeight, pack

# A layer's last name -> the targets its rows serve; a fused layer is cut in equal shares.
_PARTS: dict[str, tuple[str, ...]] = {
    "qkv": ("q", "k", "v"),
    "kv": ("k", "v"),
    **{name: (name[0],) for name in ("q", "k", "v", "q_proj", "k_proj", "v_proj", "query", "key", "value")},
    **dict.fromkeys(("proj", "out_proj"), ("out",)),
    **dict.fromkeys(("fc1", "fc1_g", "fc1_x", "c_fc"), ("fc1",)),
    **dict.fromkeys(("fc2", "c_proj"), ("fc2",)),
}


class LoraLinear(nn.Linear):
    """An nn.Linear on the parameters of `base`, with a delta (or None) for each equal share of its rows."""

    def __init__(self, base: nn.Linear, deltas: Sequence[LoraDelta | None]) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight, base.bias
        self.training = base.training
        self.deltas = tuple(deltas)  # a tuple is no submodule: the tower's keys stay its own

    def forward(self, x: Tensor) -> Tensor:
        out = adapted_linear(x.reshape(-1, self.in_features), self.weight, self.bias, self.deltas)
        return out.view(*x.shape[:-1], self.out_features)

    def plain(self) -> nn.Linear:
        """The layer without its deltas, on the same parameters."""
        layer = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        layer.weight, layer.bias = self.weight, self.bias
        return layer.train(self.training)


class LinearAdapters(LoraAdapters):
    """The deltas attached to a tower's linear layers; keys `{layer}.{target}.lora_A`, `.lora_B`."""

    def __init__(self, deltas: dict[str, LoraDelta], tower: nn.Module) -> None:
        super().__init__(deltas)
        self._paths = sorted({name.rpartition(".")[0] for name in deltas})
        for path in self._paths:
            base: Any = tower.get_submodule(path)
            parts = _PARTS[path.rpartition(".")[2]]
            _exchange(tower, path, LoraLinear(base, [deltas.get(f"{path}.{part}") for part in parts]))

    @torch.no_grad()
    def merge_into(self, tower: nn.Module) -> None:
        """Write the adapted weights into the tower and make its layers plain again."""
        super().merge_into(tower)
        self.detach_from(tower)

    def detach_from(self, tower: nn.Module) -> None:
        """Make the tower's layers plain again, without these deltas."""
        for path in self._paths:
            layer: Any = tower.get_submodule(path)
            _exchange(tower, path, layer.plain())

    def _rows(self, tower: nn.Module, name: str) -> FrozenWeight:
        path, _, target = name.rpartition(".")
        return _share(tower.get_submodule(path), path, target)


def attach_to_linears(tower: nn.Module, targets: Iterable[str], shape: LoraShape, *, seed: int = 0) -> LinearAdapters:
    """Exchange the tower's matching nn.Linear layers for adapted ones, in place, and return their deltas.

    The tower's own forward goes on working, and its parameters and keys stay what they were.
    Raises ModelError if it has no layer to adapt.
    """
    new = delta_maker(shape, seed)
    return LinearAdapters({name: new(rows) for name, rows in wanted_linears(tower, targets).items()}, tower)


def wanted_linears(tower: nn.Module, targets: Iterable[str]) -> dict[str, FrozenWeight]:
    """The rows (out, in) that `targets` mean in a tower, as views, by `{layer}.{target}`.

    Raises ModelError, naming what is linear there, if there are none.
    """
    wanted = resolve_targets(targets)
    every = {
        f"{path}.{part}": _share(layer, path, part)
        for path, layer in _adaptable_linears(tower)
        for part in _PARTS[path.rpartition(".")[2]]
    }
    found = {name: rows for name, rows in every.items() if name.rpartition(".")[2] in wanted}
    if not found:
        others = [target for target in TARGETS if any(name.endswith(f".{target}") for name in every)]
        adaptable = f"it has some for {', '.join(others)} (lora.target_modules); or " if others else ""
        family = type(getattr(tower, "trunk", tower)).__name__
        raise ModelError(
            f"{family} has no linear layers LoRA can adapt for {', '.join(wanted)}",
            hint=f"{adaptable}fine-tune all of it with `--method full`",
        )
    return found


def pack_linears(tower: nn.Module) -> None:
    """Put the weights of every layer an adapter could stand beside into NF4, whether one does or not."""
    for path, layer in list(_adaptable_linears(tower)):
        pack(layer, "weight")
        _exchange(tower, path, LoraLinear(layer, [None]))


def _adaptable_linears(tower: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The nn.Linear layers with a known name whose own forward is what the tower calls."""
    for path, layer in tower.named_modules():
        parent_path, _, name = path.rpartition(".")
        if type(layer) not in (nn.Linear, LoraLinear) or name not in _PARTS:
            continue
        parent = tower.get_submodule(parent_path)
        if name == "proj" and not any(hasattr(parent, query) for query in ("qkv", "q", "q_proj")):
            continue  # the projection of a head or of a patch embedding
        if not _reads_weights_directly(parent, name):
            yield path, layer


def _reads_weights_directly(parent: nn.Module, name: str) -> bool:
    """Whether a module hands this layer's weight to a function: an adapted layer would never be called.

    timm's BEiT, EVA and Swin v2 do so for q, k, v where the bias is kept apart.
    """
    if isinstance(parent, nn.MultiheadAttention) or is_named(parent, "AttentionPool2d"):
        return True
    return name == "qkv" and getattr(parent, "q_bias", None) is not None


def _share(layer: Any, path: str, target: str) -> FrozenWeight:
    """The rows of a layer's weight that serve `target`, as a view."""
    parts = _PARTS[path.rpartition(".")[2]]
    return layer.weight.chunk(len(parts))[parts.index(target)]  # type: ignore[no-any-return]


def _exchange(tower: nn.Module, path: str, layer: nn.Module) -> None:
    parent_path, _, name = path.rpartition(".")
    setattr(tower.get_submodule(parent_path), name, layer)
