"""Are there enough pictures of each class to divide? If not, one error that names them all."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import DataError
from ..files.visible import shown
from ..sources.listing import Listing
from ..sources.problems import Problem
from .checks import Picture
from .split import group_units, needed

NO_TRAINING_IMAGES = "its class has no training images"


def check_class_sizes(
    kept: set[str],
    pictures: Sequence[Picture],
    groups: Sequence[int],
    shares: tuple[float, float, float],
    problems: Sequence[Problem],
    listing: Listing,
) -> None:
    """Raises DataError that names every class with too few pictures to be divided."""
    fewest = needed(shares)
    units: dict[str, int] = dict.fromkeys(kept, 0)
    images: dict[str, int] = dict.fromkeys(kept, 0)
    has_given: set[str] = set()
    for unit in group_units(pictures, groups, 0):
        for label in {pictures[i].item.label for i in unit.members}:
            units[label] += 1
    for picture in pictures:
        images[picture.item.label] += 1
        if picture.item.split is not None:
            has_given.add(picture.item.label)
    lacking = {p.label for p in problems if p.reason == NO_TRAINING_IMAGES}
    small = [
        name
        for name in sorted(kept)
        if units[name] < (1 if name in has_given else fewest) and not (name in lacking and not images[name])
    ]
    if small:
        raise _too_few(small, images, units, fewest, problems, listing)
    if len(kept - lacking) < 2:
        raise DataError(f"{listing.description}: fewer than two classes have training images")


def _too_few(
    small: list[str],
    images: dict[str, int],
    units: dict[str, int],
    fewest: int,
    problems: Sequence[Problem],
    listing: Listing,
) -> DataError:
    lines = []
    for name in small[:20]:
        n = images[name]
        text = f"class '{shown(name, 60)}' has {n or 'no'} usable image{'' if n == 1 else 's'}"
        if units[name] < n:
            text += f", which make {units[name]} different picture{'' if units[name] == 1 else 's'}"
        out = [p for p in problems if p.label == name and p.action == "left out"]
        if out:
            text += f" ({len(out)} left out; the first: {shown(out[0].file, 80)}: {out[0].reason})"
        lines.append(text)
    more = f"\n  ... and {len(small) - 20} more classes" if len(small) > 20 else ""
    lead = f"{listing.description}: "
    body = lines[0] if len(lines) == 1 else f"{len(small)} classes are too small\n  " + "\n  ".join(lines) + more
    excludes = " ".join(f"--exclude {_quoted(name)}" for name in small[:5]) + (" ..." if len(small) > 5 else "")
    return DataError(
        f"{lead}{body}{', a' if len(lines) == 1 else chr(10) + 'a'} split needs at least {fewest}",
        hint=f"add images, or leave the class out with `clipft prepare {excludes}`",
    )


def _quoted(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else "'" + shown(name, 60) + "'"
