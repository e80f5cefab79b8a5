"""Images with several classes, which clipft does not learn: found by how tables write them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from ...errors import DataError
from ..files.amounts import count
from ..files.visible import shown
from .listing import Listing
from .source import SourceRequest

_JOINERS = "|;,+&/ "
"""What people write between the classes of one image."""
_STRONG = "|;"
"""Those that hardly stand in the name of one class."""
_FEW = 0.05
"""Of the images: so many with two classes are mistakes, which are left out one by one."""
_N_NAMED = 12


def refuse_several_labels(listing: Listing, request: SourceRequest) -> None:
    """Raises DataError where images have several classes: joined in one cell, or in a row each."""
    _refuse_joined(listing, request)
    _refuse_rows(listing)


def _refuse_joined(listing: Listing, request: SourceRequest) -> None:
    """As `cat|dog`, where `cat` and `dog` are classes too, and nobody leaves them out or takes them as they are."""
    counts = Counter(item.label for item in listing.items)
    if "none" in request.options.merge:
        return
    left_out = request.options.exclude
    for joiner in _JOINERS:
        joined = [
            label
            for label in _joined(counts, joiner)
            if not any(fnmatch(label.casefold(), glob.casefold()) for glob in left_out)
        ]
        if not joined:
            continue
        glob = f"*{joiner}*"
        is_only_these = all(label in joined for label in counts if joiner in label)
        excluded = [glob] if is_only_these else joined[:_N_NAMED]
        words = [word for label in excluded for word in ("--exclude", label)]
        n = sum(counts[label] for label in joined)
        raise DataError(
            f"{listing.description}: {count(n, 'image has', 'images have')} several classes, such"
            f" as '{shown(joined[0], 60)}', whose parts are classes of other images",
            hint=f"`{request.again(*words)}` leaves them out;"
            f" `{request.again('--merge', 'none')}` takes each as a class of its own",
        )


def _joined(labels: Collection[str], joiner: str) -> list[str]:
    """The labels that are several classes with `joiner` between them.

    Each part is a class of other images; between bars and semicolons one such part is enough, or one that stands now
    in front and now behind. `Passer|domesticus` and `Passer|montanus` are neither.
    """
    parts_of = {
        label: parts
        for label in labels
        if len(parts := [part.strip() for part in label.split(joiner) if part.strip()]) > 1
    }
    if joiner not in _STRONG:
        return [label for label, parts in parts_of.items() if all(part in labels for part in parts)]
    places: dict[str, set[int]] = defaultdict(set)
    for parts in parts_of.values():
        for place, part in enumerate(parts):
            places[part].add(place)
    return [
        label for label, parts in parts_of.items() if any(part in labels or len(places[part]) > 1 for part in parts)
    ]


def _refuse_rows(listing: Listing) -> None:
    """As a row for each class of an image."""
    labels: dict[Path, set[str]] = defaultdict(set)
    for item in listing.items:
        labels[item.file].add(item.label)
    several = [file for file, found in labels.items() if len(found) > 1]
    if len(several) > _FEW * len(labels):
        named = ", ".join(sorted(shown(label, 40) for label in labels[several[0]])[:4])
        raise DataError(
            f"{listing.description}: {len(several):,} of {len(labels):,} images have several classes, such as"
            f" {shown(str(several[0]), 80)}: {named}",
            hint="clipft learns one class an image: keep one row for each",
        )
