"""Low-rank adapters for open_clip's towers, beside the frozen weights and never inside them.

A delta changes rows of one weight by scale * B A, with A (r, in) and B (out, r). The fused q, k, v projection
of open_clip's attention stays one product: the small matrices stand side by side.

Sources: Hu et al. 2021 (LoRA); Kalajdzievski 2023 (the scale alpha / sqrt(r)); Liu et al. 2024 (DoRA, section
4.3 for the detached norm); Zanella & Ben Ayed 2024 (CLIP-LoRA, which projections of CLIP to adapt).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config.methods import LORA_TARGETS
from ...errors import ConfigError, ModelError
from .image_tower import is_named
from .layers import text_tower
from .nf4 import FrozenWeight, dense, frozen_linear, unpack

_SHORTEST = 1e-12
"""What a row's length is divided by at least: a row of zeros (a pruned one) has no direction, and stays what it is."""


def resolve_targets(names: Iterable[str]) -> tuple[str, ...]:
    """Names of projections, ours, open_clip's or Hugging Face's -> the `TARGETS` they mean, in fixed order.

    Raises ConfigError for a name that means none.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in LORA_TARGETS:
            near = difflib.get_close_matches(name, LORA_TARGETS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigError(
                f"unknown LoRA target '{name}'",
                hint=f"{hint}choose from {', '.join(TARGETS)}, or attention, mlp, all",
            )
        wanted.update(LORA_TARGETS[name])
    if not wanted:
        raise ConfigError("LoRA has no target", hint=f"choose from {', '.join(TARGETS)}, or attention, mlp, all")
    return tuple(target for target in TARGETS if target in wanted)


@dataclass(frozen=True)
class LoraShape:
    """How large the change of each weight is and how it is scaled: `r` the rank, `alpha` over it the gain.

    `rslora` divides alpha by the root of the rank (Kalajdzievski 2023), `use_dora` gives each row a length of its own
    (Liu et al. 2024), `dropout` is the share of the inputs that A does not see in training.
    """

    r: int
    alpha: float
    dropout: float = 0.0
    rslora: bool = False
    use_dora: bool = False

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / (self.r**0.5 if self.rslora else self.r)


class LoraDelta(nn.Module):
    """A low-rank change of the rows `weight` (out, in), zero when new; float32 whatever the weight's dtype.

    With `use_dora` each row also has a trained length, `magnitude` (out,), and the low-rank part turns it.
    `strength` in [0, 1] walks from the pretrained weight to the adapted one (WiSE-FT's alpha, for adapters).
    """

    def __init__(self, weight: FrozenWeight, shape: LoraShape, generator: torch.Generator | None = None) -> None:
        super().__init__()
        n_out, n_in = weight.shape
        bound = n_in**-0.5  # kaiming_uniform with a = sqrt(5), on the CPU: one seed gives one start on every device
        drawn = torch.empty(shape.r, n_in).uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(drawn.to(weight.device))
        self.lora_B = nn.Parameter(torch.zeros(n_out, shape.r, device=weight.device))
        self.magnitude = nn.Parameter(_row_norms(dense(weight).detach())) if shape.use_dora else None
        self.dropout = nn.Dropout(shape.dropout) if shape.dropout > 0 else nn.Identity()
        self.scale = shape.scale

    def factors(self, weight: FrozenWeight) -> tuple[Tensor | None, Tensor]:
        """(stretch, up): the adapted weight is stretch * weight + up @ lora_A; no stretch without DoRA.

        Stretch is (out, 1), up (out, r).
        """
        up = self.lora_B * self.scale  # (out, r)
        if self.magnitude is None:
            return None, up
        with torch.no_grad():  # the norm counts as a constant: same accuracy, less memory (Liu et al. 2024, 4.3)
            length = _row_norms(dense(weight) + self.scale * self.lora_B @ self.lora_A)
        ratio = (self.magnitude / length.clamp(min=_SHORTEST))[:, None]
        return ratio, up * ratio

    @torch.no_grad()
    def adapted(self, weight: FrozenWeight) -> Tensor:
        """The weight this delta makes of `weight`, (out, in) float32."""
        stretch, up = self.factors(weight)
        kept = dense(weight) if stretch is None else dense(weight) * stretch
        return kept + up @ self.lora_A


class BlockDeltas(NamedTuple):
    """The deltas of one residual block, by target; none where it is not adapted."""

    q: LoraDelta | None = None
    k: LoraDelta | None = None
    v: LoraDelta | None = None
    out: LoraDelta | None = None
    fc1: LoraDelta | None = None
    fc2: LoraDelta | None = None


NO_DELTAS = BlockDeltas()
TARGETS = BlockDeltas._fields


def adapted_linear(
    rows: Tensor, weight: FrozenWeight, bias: Tensor | None, deltas: Sequence[LoraDelta | None]
) -> Tensor:
    """rows (T, in) @ weight.T + bias, each delta adding to its equal share of the output (T, out).

    One product with the whole frozen weight, one with all A, one with all B. The deltas of a fused weight
    share one dropout mask.
    """
    live = [delta for delta in deltas if delta is not None]
    if not live:
        return frozen_linear(rows, weight, bias)
    shares: tuple[FrozenWeight, ...] = weight.chunk(len(deltas))
    changes = [_change(delta, share) for delta, share in zip(deltas, shares, strict=True)]
    kept = _stretched_linear(rows, weight, bias, [stretch for stretch, _ in changes])
    down = torch.cat([delta.lora_A for delta in live])  # (n r, in)
    up = torch.block_diag(*(up for _, up in changes))  # (out, n r): each B beside its own rows
    inner = F.linear(live[0].dropout(rows).to(kept.dtype), down.to(kept.dtype))
    return kept.addmm_(inner, up.to(kept.dtype).T)  # in place: no backward pass reads the frozen product


def _change(delta: LoraDelta | None, share: FrozenWeight) -> tuple[Tensor | None, Tensor]:
    if delta is None:
        return None, torch.zeros(share.shape[0], 0, device=share.device)
    return delta.factors(share)


def _stretched_linear(
    rows: Tensor, weight: FrozenWeight, bias: Tensor | None, stretches: Sequence[Tensor | None]
) -> Tensor:
    """The frozen product, its output columns stretched where DoRA asks for it; the bias is not stretched."""
    if all(stretch is None for stretch in stretches):
        return frozen_linear(rows, weight, bias)
    ones = torch.ones(weight.shape[0] // len(stretches), 1, device=weight.device)
    stretch = torch.cat([ones if one is None else one for one in stretches]).flatten()
    product = frozen_linear(rows, weight, None)
    product = product * stretch.to(product.dtype)
    return product if bias is None else product + bias.to(product.dtype)


def _row_norms(weight: Tensor) -> Tensor:
    return torch.linalg.vector_norm(weight, dim=1)


class LoraAdapters(nn.Module):
    """The deltas of one tower, by name: what an adapter checkpoint holds, and nothing of the tower itself.

    Keys of the state dict: `blocks.{i}.{target}.lora_A` and `.lora_B` (and `.magnitude` with DoRA).
    Build with `for_vit` or `for_text`. Freezing the tower is the caller's part.
    """

    def __init__(self, deltas: dict[str, LoraDelta]) -> None:
        super().__init__()
        self.by_name = deltas
        self.is_merged = False
        for name, delta in deltas.items():
            _register(self, name, delta)

    @classmethod
    def for_vit(
        cls,
        visual: nn.Module,
        targets: Iterable[str],
        shape: LoraShape,
        *,
        blocks: Iterable[int] | None = None,
        seed: int = 0,
    ) -> LoraAdapters:
        """New adapters for a tower's residual blocks (all, or those in `blocks`), equal for an equal seed.

        Raises ConfigError for an unknown target or block, ModelError for a tower of other blocks.
        """
        layers = _residual_blocks(visual)
        chosen = range(len(layers)) if blocks is None else sorted(set(blocks))
        if any(index not in range(len(layers)) for index in chosen):
            raise ConfigError(f"LoRA blocks {list(chosen)}: the tower has blocks 0 to {len(layers) - 1}")
        new = delta_maker(shape, seed)
        names = resolve_targets(targets)
        return LoraAdapters({f"blocks.{i}.{t}": new(_block_rows(layers[i], t)) for i in chosen for t in names})

    @classmethod
    def for_text(cls, model: nn.Module, targets: Iterable[str], shape: LoraShape, *, seed: int = 0) -> LoraAdapters:
        """`for_vit` for the text tower of an open_clip model."""
        return cls.for_vit(text_tower(model), targets, shape, seed=seed)

    def of_block(self, index: int) -> BlockDeltas:
        """The deltas of one block; none once they are merged, so that no forward applies them twice."""
        if self.is_merged:
            return NO_DELTAS
        return BlockDeltas(*(self.by_name.get(f"blocks.{index}.{target}") for target in TARGETS))

    @torch.no_grad()
    def merge_into(self, tower: nn.Module) -> None:
        """Write the adapted weights into the tower, in float32; these adapters change nothing any more.

        Packed weights are unpacked for it.
        Raises ModelError if they were merged before.
        """
        if self.is_merged:
            raise ModelError("these adapters are merged already", hint="load the tower and the adapters again")
        unpack(tower)
        for name, delta in self.by_name.items():
            rows: Any = self._rows(tower, name)
            rows.copy_(delta.adapted(rows))
        self.is_merged = True

    def _rows(self, tower: nn.Module, name: str) -> FrozenWeight:
        """The rows of the tower's weights that a delta changes, as a view."""
        _, index, target = name.split(".")
        return _block_rows(_residual_blocks(tower)[int(index)], target)


def _residual_blocks(tower: nn.Module) -> nn.ModuleList:
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    if not blocks or not all(is_named(block, "ResidualAttentionBlock") for block in blocks):
        raise ModelError(f"{type(tower).__name__} has no plain residual attention blocks for LoRA")
    return blocks


def _block_rows(block: Any, target: str) -> FrozenWeight:
    """The (out, in) rows of a block's weight that a target names: a view where the weight is fused."""
    if target in ("q", "k", "v"):
        return block.attn.in_proj_weight.chunk(3)["qkv".index(target)]
    layers = {"out": block.attn.out_proj, "fc1": block.mlp.c_fc, "fc2": block.mlp.c_proj}
    return layers[target].weight


def delta_maker(shape: LoraShape, seed: int) -> Callable[[FrozenWeight], LoraDelta]:
    """Makes deltas one after the other, all drawn from one `seed`."""
    return partial(LoraDelta, shape=shape, generator=torch.Generator().manual_seed(seed))


def _register(root: nn.Module, name: str, delta: LoraDelta) -> None:
    """Hang a delta under its dotted name, so that the keys of the state dict read like the tower's."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root._modules[part]  # type: ignore[assignment]
    root.add_module(last, delta)
