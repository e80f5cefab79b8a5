"""What a data set that is there already says about the same images: their splits, and the names its owner edited.

Images are known by their content, so a renamed file, folder or class loses neither.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...config.data import SplitName
from ..files.visible import shown
from ..labels.prompt_words import readable_names
from ..manifest import Manifest
from .checks import Picture

_N_NAMED = 3


@dataclass(frozen=True)
class Earlier:
    """`splits`: by digest; empty where they are to be decided anew. `edited`: class -> the words its owner chose."""

    manifest: Manifest
    splits: Mapping[str, SplitName]
    edited: Mapping[str, str]


def earlier_of(manifest: Manifest, *, keeps_splits: bool) -> Earlier:
    """What of `manifest`, read with its edited names, holds for the same images."""
    words = readable_names([info.name for info in manifest.classes])
    edited = {
        info.name: info.readable for info, made in zip(manifest.classes, words, strict=True) if info.readable != made
    }
    splits = {row.sha256: row.split for row in manifest.rows} if keeps_splits else {}
    return Earlier(manifest, splits, edited)


def with_earlier_splits(pictures: Sequence[Picture], earlier: Earlier | None) -> list[Picture]:
    """Pictures with the split they were in, where the source gives none."""
    if earlier is None:
        return list(pictures)
    return [
        dataclasses.replace(p, item=dataclasses.replace(p.item, split=earlier.splits[p.sha256]))
        if p.item.split is None and p.sha256 in earlier.splits
        else p
        for p in pictures
    ]


def kept_names(
    earlier: Earlier | None, names: Sequence[str], pictures: Sequence[Picture], warnings: list[str]
) -> dict[str, str]:
    """The edited words of classes that are still there, if under a new name; a warning tells of the others."""
    if earlier is None:
        return {}
    kept = {name: words for name, words in earlier.edited.items() if name in names}
    renamed = renamed_classes(earlier.manifest, pictures)
    lost = []
    for name, words in earlier.edited.items():
        if name in kept:
            continue
        if (new := renamed.get(name)) is not None and new in names and new not in kept:
            kept[new] = words
        else:
            lost.append(f"'{shown(words, 60)}' of class '{shown(name, 40)}'")
    if lost:
        more = ", ..." if len(lost) > _N_NAMED else ""
        warnings.append(
            f"{len(lost)} edited names of classes.txt belong to no class any more: {', '.join(lost[:_N_NAMED])}{more}"
        )
    return kept


def renamed_classes(manifest: Manifest, pictures: Sequence[Picture]) -> dict[str, str]:
    """Classes that are gone, with the class that most of their images are in now."""
    labels = {picture.sha256: picture.item.label for picture in pictures}
    now: dict[str, Counter[str]] = defaultdict(Counter)
    sizes: Counter[str] = Counter()
    for row in manifest.rows:
        name = manifest.classes[row.label].name
        sizes[name] += 1
        if row.sha256 in labels:
            now[name][labels[row.sha256]] += 1
    there = set(labels.values())
    most = {name: counts.most_common(1)[0] for name, counts in now.items() if name not in there}
    return {name: new for name, (new, n) in most.items() if 2 * n > sizes[name]}
