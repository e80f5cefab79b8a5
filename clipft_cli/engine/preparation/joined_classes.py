"""Classes that are one under two labels: joined where that was asked for or is the only reading, else refused."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from ...config.prepare import PrepareConfig
from ...errors import ConfigError, DataError
from ..files.amounts import count
from ..files.visible import shown
from ..labels.alike import alike, difference, sounds_missing
from ..sources.listing import Listing
from ..sources.same_again import same_again

_N_NAMED = 10


def join_classes(listing: Listing, merge: Sequence[str], warnings: list[str]) -> None:
    """Give images of classes that are one the same label.

    As `merge` says (FROM=INTO, or `alike`); and where splits are given and of labels that read alike train has
    one only, since the others could not be learned. Raises ConfigError for a FROM that is no class.
    """
    _rename(listing, dict(_pair(wish, listing) for wish in merge if wish not in ("alike", "none")))
    if "none" in merge:
        return
    counts = Counter(item.label for item in listing.items)
    for group in alike(counts):
        into = max(group, key=lambda label: counts[label]) if "alike" in merge else _only_in_train(group, listing)
        if into is None:
            continue
        others = [label for label in group if label != into]
        _rename(listing, dict.fromkeys(others, into))
        named = ", ".join(_counted(label, counts) for label in others)
        warnings.append(f"{named} counted as class '{shown(into, 60)}': they differ in {difference(group)} only")


def check_alike(names: Sequence[str], listing: Listing, config: PrepareConfig, warnings: list[str]) -> None:
    """Raises DataError where classes read alike and nothing says whether they are one; warns of labels like `nan`."""
    counts = Counter(item.label for item in listing.items)
    for name in names:
        if sounds_missing(name):
            warnings.append(
                f"class '{shown(name, 60)}' ({count(counts[name], 'image')}) sounds like images without a label:"
                f" `{same_again(config, '--exclude', name)}` leaves them out"
            )
    groups = [] if "none" in config.prepare.merge else alike(names)
    if not groups:
        return
    lines = [
        f"  {', '.join(_counted(name, counts) for name in group)}: {difference(group)}" for group in groups[:_N_NAMED]
    ]
    lines += [f"  ... and {len(groups) - _N_NAMED} more"] if len(groups) > _N_NAMED else []
    raise DataError(
        f"{listing.description}: class names that differ in so little that they may mean one class\n"
        + "\n".join(lines),
        hint=f"`{same_again(config, '--merge', 'alike')}` makes one class of each line;"
        f" `{same_again(config, '--merge', 'none')}` keeps them apart",
    )


def _counted(label: str, counts: Mapping[str, int]) -> str:
    return f"'{shown(label, 60)}' ({count(counts[label], 'image')})"


def _pair(wish: str, listing: Listing) -> tuple[str, str]:
    """FROM and INTO of a wish; a label may hold '=' itself, so every '=' is tried."""
    known = listing.labels()
    parts = wish.split("=")
    for i in range(1, len(parts)):
        label, into = "=".join(parts[:i]), "=".join(parts[i:])
        if label in known and into:
            return label, into
    raise ConfigError(
        f"--merge {shown(wish, 120)}: '{shown(parts[0], 60)}' is no class of {listing.name}",
        hint="FROM=INTO; classes: " + ", ".join(shown(name, 60) for name in known[:12]),
    )


def _only_in_train(group: Sequence[str], listing: Listing) -> str | None:
    """The one label of `group` that train has, where every image has its split: others could not be learned."""
    pairs = {(item.label, item.split) for item in listing.items if item.label in set(group)}
    in_train = [label for label, split in pairs if split == "train"]
    is_given = all(split is not None for _, split in pairs)
    return in_train[0] if is_given and len(in_train) == 1 else None


def _rename(listing: Listing, into: Mapping[str, str]) -> None:
    if into:
        listing.items = [dataclasses.replace(i, label=into.get(i.label, i.label)) for i in listing.items]
        listing.problems = [dataclasses.replace(p, label=into.get(p.label, p.label)) for p in listing.problems]
