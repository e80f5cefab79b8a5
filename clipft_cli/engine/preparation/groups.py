"""Images that belong together, a patient's, a clip's, a product's: kept in one split, or at least asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...config.commands import PrepareConfig
from ...errors import DataError
from ..files.visible import shown
from ..sources.same_again import same_again
from .checks import Picture
from .duplicates import connected

_N_NAMED = 3


def has_groups(pictures: Sequence[Picture]) -> bool:
    """Whether the source says of any image which others it belongs to."""
    return any(picture.item.group is not None for picture in pictures)


def join_groups(
    pictures: Sequence[Picture], near: Sequence[int], pairs_too: Sequence[tuple[int, int]] = ()
) -> list[int]:
    """The number of the unit of each picture: near copies, a group and a pair each stay together."""
    if not has_groups(pictures) and not pairs_too:
        return list(near)
    first: dict[tuple[str, object], int] = {}
    pairs = list(pairs_too)
    for i, picture in enumerate(pictures):
        keys: list[tuple[str, object]] = [("near", near[i])]
        keys += [("group", picture.item.group)] if picture.item.group is not None else []
        pairs += [(first.setdefault(key, i), i) for key in keys]
    return connected(len(pictures), [(a, b) for a, b in pairs if a != b])


def group_note(pictures: Sequence[Picture]) -> str:
    """How many groups there are, how large, and how many images have none."""
    sizes: dict[str, int] = defaultdict(int)
    for picture in pictures:
        if picture.item.group is not None:
            sizes[picture.item.group] += 1
    alone = len(pictures) - sum(sizes.values())
    text = f"{len(sizes):,} groups of {min(sizes.values())} to {max(sizes.values())} images, each in one split"
    return text + (f"; {alone:,} images are in no group" if alone else "")


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
