"""How a source was read, before anything is made of it: what it is, where its classes stand, what was passed over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...config.data import SplitName
from ...config.prepare import PrepareConfig
from ..files.amounts import count
from ..labels.names import class_order
from ..manifest import SPLITS
from ..sources.listing import Item, Listing, choose_classes
from ..sources.problems import EMPTY_CLASS, EMPTY_SPLIT
from ..sources.same_again import answered, same_again
from .target import Target

OPEN = "to be chosen"
"""In place of a split, for images whose source gives none."""


@dataclass(frozen=True)
class ReadClass:
    """One class: its images by split, and one of them."""

    name: str
    counts: Mapping[str, int]
    example: str

    @property
    def total(self) -> int:
        """Images of all splits."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Reading:
    """What was understood of a source. No image has been opened yet.

    `settings` are the keys of `prepare` that would have asked for this reading, `command` says them. `places` tells
    for class, split and group where it stands: a level of folders, a column. `left_out` counts files by reason.
    """

    source: str
    kind: str
    evidence: str
    settings: Mapping[str, str]
    command: str
    places: Mapping[str, str]
    classes: tuple[ReadClass, ...]
    n_groups: int
    left_out: Mapping[str, int]
    ignored: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Images of each split that the source gives; those without one under OPEN."""
        found: Counter[str] = Counter()
        for read in self.classes:
            found.update(read.counts)
        return {split: found[split] for split in (*SPLITS, OPEN) if found[split]}

    @property
    def left_out_words(self) -> str:
        """How many files and folders are left out, in words; empty for none."""
        n_folders = sum(self.left_out.get(reason, 0) for reason in (EMPTY_CLASS, EMPTY_SPLIT))
        n_files = sum(self.left_out.values()) - n_folders
        named = [count(n, noun) for n, noun in ((n_files, "file"), (n_folders, "empty folder")) if n]
        return " and ".join(named)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**values, "counts": self.counts, "n_images": sum(self.counts.values())}


def reading_of(config: PrepareConfig, target: Target, listing: Listing) -> Reading:
    """The reading of a source from what it was read into."""
    counts: dict[str, Counter[SplitName | None]] = defaultdict(Counter)
    examples: dict[str, Item] = {}
    options = config.prepare
    chosen = replace(listing, notes=[])
    kept = set(choose_classes(chosen, options.include, options.exclude, options.num_classes, fewest=0))
    for item in (item for item in listing.items if item.label in kept):
        counts[item.label][item.split] += 1
        examples.setdefault(item.label, item)
    classes = tuple(
        ReadClass(name, {split or OPEN: n for split, n in counts[name].items()}, examples[name].name)
        for name in class_order(counts)
    )
    left_out = Counter(problem.reason for problem in listing.problems if problem.action == "left out")
    return Reading(
        source=target.kind.origin(target.source or ""),
        kind=target.kind.name,
        evidence=target.evidence,
        settings=dict(listing.read_as),
        command=same_again(answered(config, listing.read_as)),
        places=dict(listing.places),
        classes=classes,
        n_groups=len({item.group for item in listing.items} - {None}),
        left_out=dict(left_out.most_common()),
        ignored=listing.ignored,
        notes=tuple(listing.notes),
        warnings=tuple(listing.warnings),
    )
