"""What a source is read into: images with labels and given splits, and what was passed over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ...config.data import SplitName
from ...errors import ConfigError, DataError
from ..files.visible import shown
from ..labels.names import class_order
from ..labels.prompt_words import readable_names
from .problems import Problem, refuse_closed


@dataclass(frozen=True, slots=True)
class Item:
    """One image as its source gives it.

    `name` is what people are shown. `split` is None where the source gives none. `group`: images of one group
    (a patient, a clip, a product) must not be divided among splits; None where the source tells of none.
    """

    file: Path
    name: str
    label: str
    split: SplitName | None = None
    group: str | None = None


@dataclass
class Listing:
    """All of a source. `ignored` counts hidden files; `notes` are sentences for the screen, `warnings` such as must
    not be overlooked; `read_as` are the keys of `prepare` that would have asked for this reading, `places` says where
    class, split and group stand, each in words; `told` are the reasons of problems that a warning counts already;
    `class_words` name classes whose labels are codes."""

    name: str
    description: str
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    read_as: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    class_words: dict[str, str] = field(default_factory=dict)

    def labels(self) -> list[str]:
        """Class names that have images, in class order."""
        return class_order(item.label for item in self.items)


def choose_classes(
    listing: Listing,
    include: Iterable[str],
    exclude: Iterable[str],
    num_classes: int | None,
    fewest: int = 2,
) -> list[str]:
    """Names of the classes to keep, in class order; includes first, then excludes, then the first N.

    A glob is matched against the class name and the readable name; a class name means itself, whatever it holds.
    Raises ConfigError for a glob that matches no class, DataError where fewer than `fewest` classes are left.
    """
    include, exclude = tuple(include), tuple(exclude)
    known = listing.labels()
    words = dict(zip(known, readable_names(known), strict=True))

    def matches(name: str, glob: str) -> bool:
        return name == glob or any(fnmatch(text.casefold(), glob.casefold()) for text in (name, words[name]))

    for glob in (*include, *exclude):
        if not any(matches(name, glob) for name in known):
            raise ConfigError(
                f"--{'include' if glob in include else 'exclude'} {glob}: matches no class of {listing.name}",
                hint="classes: " + _first(known),
            )
    kept = [name for name in known if not include or any(matches(name, glob) for glob in include)]
    kept = [name for name in kept if not any(matches(name, glob) for glob in exclude)]
    if num_classes is not None:
        if num_classes > len(kept):
            listing.notes.append(f"{num_classes} classes were asked for, there are {len(kept)}: all are kept")
        elif num_classes < len(kept):
            listing.notes.append(
                f"the first {num_classes} of {len(kept)} classes are kept: " + _first(kept[:num_classes], 20)
            )
        kept = kept[:num_classes]
    if len(kept) < fewest:
        refuse_closed(listing.problems)
        what = f"only one class, '{shown(kept[0])}'" if kept else "no class with images"
        raise DataError(
            f"{listing.description}: {what}; a classifier needs at least 2",
            hint="one folder a class, images inside: pets/cat/1.jpg, pets/dog/2.jpg",
        )
    return kept


def _first(names: list[str], n: int = 12) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > n else ""
    return ", ".join(shown(name, 60) for name in names[:n]) + more
