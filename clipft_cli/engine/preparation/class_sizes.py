"""Are there enough pictures of each class to divide? If not, one error that names them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...config.prepare import PrepareConfig
from ...errors import DataError
from ..files.amounts import count
from ..files.visible import shown
from ..sources.listing import Listing
from ..sources.problems import NO_TRAINING_IMAGES, Problem
from ..sources.same_again import same_again
from .checks import Picture
from .groups import has_groups
from .split import group_units, is_test_only, needed

_N_NAMED = 20
_N_EXCLUDED = 5


def count_units(labels: set[str], pictures: Sequence[Picture], groups: Sequence[int]) -> dict[str, int]:
    """How many pictures of each class are different: those of one group count once."""
    units = dict.fromkeys(labels, 0)
    for unit in group_units(pictures, groups, 0):
        for label in {pictures[i].item.label for i in unit.members}:
            units[label] += 1
    return units


def small_classes(
    kept: set[str], pictures: Sequence[Picture], groups: Sequence[int], fewest: int | None, warnings: list[str]
) -> set[str]:
    """Classes of fewer than `fewest` different pictures, which are to be left out; a warning says how many."""
    if fewest is None:
        return set()
    units = count_units(kept, pictures, groups)
    small = {name for name in kept if units[name] < fewest}
    if small:
        n = sum(picture.item.label in small for picture in pictures)
        named = ", ".join(shown(name, 40) for name in sorted(small)[:_N_EXCLUDED])
        more = ", ..." if len(small) > _N_EXCLUDED else ""
        warnings.append(
            f"{count(len(small), 'class', 'classes')} of fewer than {count(fewest, 'image')}"
            f" {'is' if len(small) == 1 else 'are'} left out, with {count(n, 'image')}: {named}{more}"
        )
    return small


@dataclass(frozen=True)
class ClassSize:
    """A class with its usable images, and how many units these make: those of one group count once."""

    name: str
    n_images: int
    n_units: int


def check_class_sizes(
    kept: set[str],
    pictures: Sequence[Picture],
    groups: Sequence[int],
    config: PrepareConfig,
    *,
    problems: Sequence[Problem],
    listing: Listing,
) -> None:
    """Raises DataError that names every class with too few pictures to be divided."""
    fewest = config.prepare.min_per_class or needed(config.prepare.split)
    units = count_units(kept, pictures, groups)
    images: dict[str, int] = dict.fromkeys(kept, 0)
    has_given: set[str] = set()
    for picture in pictures:
        images[picture.item.label] += 1
        if picture.item.split is not None:
            has_given.add(picture.item.label)
    lacking = {p.label for p in problems if p.reason == NO_TRAINING_IMAGES}
    small = [
        ClassSize(name, images[name], units[name])
        for name in sorted(kept)
        if units[name] < (1 if name in has_given else fewest) and not (name in lacking and not images[name])
    ]
    if small:
        raise DataError(
            f"{listing.description}: "
            + _too_few(small, fewest, problems, "group" if has_groups(pictures) else "different picture"),
            hint=_ways_out([size.name for size in small], config, fewest),
        )
    if len(kept - lacking) < 2 and not is_test_only(config.prepare.split):
        raise DataError(
            f"{listing.description}: fewer than two classes have training images",
            hint=f"`{same_again(config, '--set', 'prepare.given_splits=ignore')}` divides all images anew",
        )


def _too_few(small: Sequence[ClassSize], fewest: int, problems: Sequence[Problem], unit: str) -> str:
    lines = []
    for size in small[:_N_NAMED]:
        name, n = size.name, size.n_images
        text = f"class '{shown(name, 60)}' has {n or 'no'} usable image{'' if n == 1 else 's'}"
        if size.n_units < n:
            text += f", which make {size.n_units} {unit}{'' if size.n_units == 1 else 's'}"
        out = [p for p in problems if p.label == name and p.action == "left out"]
        if out:
            text += f" ({len(out)} left out; the first: {shown(out[0].file, 80)}: {out[0].reason})"
        lines.append(text)
    if len(lines) == 1:
        return f"{lines[0]}, a split needs at least {fewest}"
    more = [f"... and {len(small) - _N_NAMED} more classes"] if len(small) > _N_NAMED else []
    listed = "\n  ".join([f"{len(small)} classes are too small", *lines, *more])
    return f"{listed}\na split needs at least {fewest}"


def _ways_out(small: list[str], config: PrepareConfig, fewest: int) -> str:
    """Commands that can be pasted: without these classes, or with them in train alone."""
    leave_out = same_again(config, "--min-per-class", str(fewest))
    ways = [f"`{leave_out}` leaves out classes with fewer"]
    if len(small) <= _N_EXCLUDED:
        ways.append(
            f"`{same_again(config, *(word for name in small for word in ('--exclude', name)))}` leaves out these"
        )
    ways.append("with `--min-per-class 1` they stay, for training alone")
    return "add images; or " + "; ".join(ways)
