"""What differs between a data set that is there and what is asked for: said before anything is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...config.prepare import PrepareConfig
from ..files.visible import safe_cell, shown
from ..manifest import Manifest
from ..sources.listing import Listing, choose_classes
from ..sources.problems import read_problems
from .joined_classes import join_classes
from .request import asked_options

_N_NAMED = 3
_Known = tuple[str, int]
"""A class and the bytes of one of its images. No image is read to compare: two of one class and size are rare, and
only the wording depends on it."""


def differences(existing: Manifest, config: PrepareConfig, source: str, listing: Listing | None) -> list[str]:
    """Short phrases; empty where nothing but the contents of files of the same size can differ.

    `source`: what dataset.json would say; `listing`: what it holds now, None where that was not read.
    """
    found = []
    origin = existing.origin
    if origin.source != source:
        found.append(f"its images came from {shown(origin.source, 200)}, not from {shown(source, 200)}")
    if origin.seed != config.seed:
        found.append(f"seed {origin.seed}, now {config.seed}")
    found += _other_options(origin.options, origin.split, config)
    if listing is not None:
        found += _other_images(existing, config, listing)
    return found


def _other_options(
    before: Mapping[str, Any] | None, split: tuple[float, float, float], config: PrepareConfig
) -> list[str]:
    now = asked_options(config)
    if before is None:  # written by an earlier version, which kept the shares alone
        same = tuple(config.prepare.split) == tuple(split)
        return [] if same else [f"split {_value(split)}, now {_value(config.prepare.split)}"]
    defaults = type(config.prepare)().model_dump(mode="json")
    changed = [key for key in (*before, *(key for key in now if key not in before)) if before.get(key) != now.get(key)]
    return [
        f"{key} {_value(before.get(key, defaults.get(key)))}, now {_value(now.get(key, defaults.get(key)))}"
        for key in changed
    ]


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "/".join(map(str, value)) or "none"
    return "none" if value is None else shown(str(value), 60)


def _other_images(existing: Manifest, config: PrepareConfig, listing: Listing) -> list[str]:
    before = [existing.classes[row.label].name for row in existing.rows]
    had = Counter((name, row.bytes) for name, row in zip(before, existing.rows, strict=True))
    now = _now(existing, config, listing)
    if now is None:
        return []
    have = Counter(known for known, _ in now)
    classes, old = list(dict.fromkeys(name for (name, _), _ in now)), list(dict.fromkeys(before))
    gone = [name for name in old if name not in classes]
    new = [name for name in classes if name not in old]
    found, renamed = [], _renamed(gone, new, had, have)
    for name, other in renamed.items():
        found.append(f"class '{shown(name, 40)}' is now called '{shown(other, 40)}'")
        had = Counter({(renamed.get(label, label), size): n for (label, size), n in had.items()})
    found += _named("class", "is no longer there", [name for name in gone if name not in renamed])
    found += _named("class", "is new", [name for name in new if name not in renamed.values()])
    added, removed = (have - had).total(), (had - have).total()
    if added:
        example = next((f" (such as {shown(file, 80)})" for known, file in now if known not in had), "")
        found.append(f"{added:,} image{'s' if added > 1 else ''} added{example}")
    if removed:
        found.append(f"{removed:,} image{'s' if removed > 1 else ''} removed")
    return found


def _now(existing: Manifest, config: PrepareConfig, listing: Listing) -> list[tuple[_Known, str]] | None:
    """Class and size of each image that would be taken, with its name; None where not all of a class are."""
    options = config.prepare
    if options.samples_per_class is not None:
        return None
    join_classes(listing, options.merge, [])
    kept = set(choose_classes(listing, options.include, options.exclude, options.num_classes, 0))
    left_out = {problem.file for problem in read_problems(existing.root) if problem.action == "left out"}
    found = []
    for item in listing.items:
        if item.label in kept and safe_cell(item.name) not in left_out:
            try:
                found.append(((item.label, item.file.stat().st_size), item.name))
            except OSError:
                continue
    return found


def _renamed(gone: Sequence[str], new: Sequence[str], had: Counter[_Known], have: Counter[_Known]) -> dict[str, str]:
    """Classes that are gone, with the new one that holds most of their images."""
    found: dict[str, str] = {}
    for name in gone:
        sizes = Counter({size: n for (label, size), n in had.items() if label == name})
        for other in new:
            others = Counter({size: n for (label, size), n in have.items() if label == other})
            if other not in found.values() and 2 * (sizes & others).total() > sizes.total():
                found[name] = other
                break
    return found


def _named(what: str, state: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    named = ", ".join(f"'{shown(name, 40)}'" for name in names[:_N_NAMED])
    if len(names) == 1:
        return [f"{what} {named} {state}"]
    more = ", ..." if len(names) > _N_NAMED else ""
    return [f"{len(names)} {what}es {named}{more} {state.replace('is', 'are', 1)}"]
