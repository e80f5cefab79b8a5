"""Images that belong together, a patient's, a clip's, a product's: kept in one split, or at least asked about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...config.prepare import PrepareConfig
from ...errors import DataError
from ..files.amounts import count
from ..files.visible import shown
from ..sources.same_again import same_again
from .checks import Picture
from .duplicates import connected

_N_NAMED = 3
_LUMP, _FEW_GROUPS = 0.1, 3
"""Share of all images that near copies may join out of more than a few groups."""


def has_groups(pictures: Sequence[Picture]) -> bool:
    """Whether the source says of any image which others it belongs to."""
    return any(picture.item.group is not None for picture in pictures)


def join_groups(
    pictures: Sequence[Picture], near: Sequence[int], bursts: Sequence[tuple[int, int]], warnings: list[str]
) -> list[int]:
    """The number of the unit of each picture: near copies, a group and a burst each stay together.

    Near copies do not make one lump of many groups (X-rays all look alike): there groups hold alone, with a warning.
    """
    given = [picture.item.group for picture in pictures]
    if not has_groups(pictures) and not bursts:
        return list(near)
    said = [*_links(given), *bursts]
    units = connected(len(pictures), [*said, *_links(near)])
    names: dict[int, set[str]] = defaultdict(set)
    for unit, group in zip(units, given, strict=True):
        if group is not None:
            names[unit].add(group)
    sizes = Counter(units)
    lumps = {u for u, n in sizes.items() if n > max(_LUMP * len(pictures), 2) and len(names[u]) > _FEW_GROUPS}
    if not lumps:
        return units
    n = sum(len(names[u]) for u in lumps)
    named = ", ".join(shown(group, 30) for group in sorted(names[min(lumps)])[:_N_NAMED])
    warnings.append(
        f"images of {n:,} groups look alike ({named}, ...) and would all come"
        " into one split: the groups stay as they were given, and images that look alike may be in several splits"
    )
    alone = connected(len(pictures), said)
    return [len(pictures) + alone[i] if unit in lumps else unit for i, unit in enumerate(units)]


def _links(groups: Sequence[int] | Sequence[str | None]) -> list[tuple[int, int]]:
    """Pairs that connect all of one group: each with the first of it."""
    first: dict[int | str, int] = {}
    return [(first.setdefault(group, i), i) for i, group in enumerate(groups) if group is not None]


def group_note(pictures: Sequence[Picture]) -> str:
    """How many groups there are, how large, and how many images have none."""
    sizes: dict[str, int] = defaultdict(int)
    for picture in pictures:
        if picture.item.group is not None:
            sizes[picture.item.group] += 1
    alone = len(pictures) - sum(sizes.values())
    fewest, most = min(sizes.values()), max(sizes.values())
    size = f"{fewest} images" if fewest == most > 1 else f"{fewest} to {most} images"
    text = f"{len(sizes):,} groups of {size}, each in one split"
    return text + (f"; {count(alone, 'image is', 'images are')} in no group" if alone else "")


def check_given_splits(pictures: Sequence[Picture], config: PrepareConfig, place: str) -> None:
    """Raises DataError where given splits divide a group: which of the two counts is for a person to say."""
    splits: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        if picture.item.group is not None and picture.item.split is not None:
            splits[picture.item.group].add(picture.item.split)
    divided = [group for group, found in splits.items() if len(found) > 1]
    if divided:
        named = "; ".join(f"'{shown(g, 40)}' in {', '.join(sorted(splits[g]))}" for g in divided[:_N_NAMED])
        anew = same_again(config, "--set", "prepare.given_splits=ignore")
        raise DataError(
            f"{place}: {len(divided):,} of {len(splits):,} groups are in more than one of the given splits ({named}):"
            " what is measured on one would be known from another",
            hint=f"`{anew}` divides all images anew, group by group; without the groups the splits stay as given",
        )
