"""The greedy soup: an average of the best epochs' weights, each added only where val agrees.

Source: Wortsman et al. 2022 (Model soups), recipe 1; here over the epochs of one run, which share their start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config.metrics import SelectionMetric
from ..metrics.val import ValMetrics

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Soup:
    """`epochs` have equal parts in it, the best alone where no other helped.

    `tried` holds (epoch, value on val of the mix with it), in the order of trying; the first is the best by itself.
    """

    epochs: tuple[int, ...]
    tried: tuple[tuple[int, float], ...]

    def sentence(self, select_by: SelectionMetric) -> str:
        """What was tried, by the metric that chose, and what of it is kept."""
        (best, alone), *others = self.tried
        added = ", ".join(
            f"with {epoch} {abs(value):.3f}{'' if epoch in self.epochs else ' (left out)'}" for epoch, value in others
        )
        return f"soup of the best epochs, {select_by} on val: epoch {best} alone {abs(alone):.3f}, {added}"


def greedy_soup(
    epochs: Sequence[int],
    read: Callable[[int], Weights],
    best: ValMetrics,
    measure: Callable[[Weights], ValMetrics],
    select_by: SelectionMetric,
) -> tuple[Soup, Weights]:
    """The soup of `epochs`, best first, and its weights; never worse on val than `best`, the first one's metrics.

    An epoch stays in where the mix with it is as good or better, a lower loss deciding between equals.
    """
    chosen = [epochs[0]]
    members = [read(epochs[0])]
    weights, kept = members[0], best
    tried = [(epochs[0], best.value(select_by))]
    for epoch in epochs[1:]:
        others = [*members, read(epoch)]
        mix = averaged(others)
        metrics = measure(mix)
        tried.append((epoch, metrics.value(select_by)))
        if metrics.rank(select_by) >= kept.rank(select_by):
            chosen.append(epoch)
            members, weights, kept = others, mix, metrics
    return Soup(tuple(chosen), tuple(tried)), weights


def has_soup(names: Sequence[str]) -> bool:
    """Whether weights of these names have an average: what DoRA makes of a weight is no sum."""
    return not any(name.endswith(".magnitude") for name in names)


def averaged(members: Sequence[Weights]) -> dict[str, Tensor]:
    """The mean of several sets of weights; of adapters, the mean of what they add, at their own rank.

    The mean of the products B A is not the product of the means, and has a higher rank: the nearest matrix of the
    adapters' rank (Eckart and Young 1936) stands in for it, which is why val is asked.
    """
    mean = {name: torch.stack([member[name] for member in members]).mean(dim=0) for name in members[0]}
    for name in members[0]:
        if name.endswith(".lora_A"):
            other = name.removesuffix("A") + "B"
            mean[name], mean[other] = _mean_product(
                [member[name] for member in members], [member[other] for member in members]
            )
    return mean


def _mean_product(downs: Sequence[Tensor], ups: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(A (r, in), B (out, r)) with B A nearest to the mean of the products of `ups` (out, r) and `downs` (r, in)."""
    left, in_left = torch.linalg.qr(torch.cat(list(ups), dim=1).double() / len(ups))  # (out, m), (m, k r)
    right, in_right = torch.linalg.qr(torch.cat(list(downs)).double().T)  # (in, n), (n, k r)
    u, lengths, v = torch.linalg.svd(in_left @ in_right.T, full_matrices=False)
    rank = min(len(downs[0]), len(lengths))
    root = lengths[:rank].sqrt()
    down, up = torch.zeros_like(downs[0]), torch.zeros_like(ups[0])
    down[:rank] = ((v[:rank] * root[:, None]) @ right.T).to(down.dtype)
    up[:, :rank] = (left @ (u[:, :rank] * root)).to(up.dtype)
    return down, up
