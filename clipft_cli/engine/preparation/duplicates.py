"""Pictures that are there twice: byte for byte, or nearly. What is the same picture must never be in two splits.

Only equal bytes are certainly the same. Of pictures that merely look the same none is removed but where given
splits would share one, and where all look alike nothing is concluded (see scenes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..files.amounts import count
from ..files.visible import shown
from ..sources.problems import Problem
from .checks import Picture
from .likeness import Pairs, near_pairs
from .scenes import crowded_labels, scene_groups, scene_labels, scene_warning, without_labels

TWO_LABELS = "nearly the same picture under two labels"
NEAR_COPY = "near copy of an image in another split"
OFF = "`--set prepare.near_duplicate_distance=none` looks for no near copies"
_PRIORITY = {"test": 0, "val": 1, None: 2, "train": 3}


@dataclass
class Deduplicated:
    """`kept` pictures, `groups[i]` the number of the near-duplicate group picture i is in, `problems` the rest."""

    kept: list[Picture]
    groups: list[int]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def remove_duplicates(pictures: Sequence[Picture], distance: int | None) -> Deduplicated:
    """Leave out exact copies, contradictions and what straddles given splits; group the near duplicates left.

    `distance`: bits perceptual hashes may differ by; None: near duplicates are not looked for.
    Of exact copies under one label one is kept, by preference one of test, then val. The same bytes under two
    labels are left out whole. Of near duplicates across given splits, the train copy (or else the val copy) goes.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    kept = _without_exact_copies(pictures, problems)
    if distance is None:
        return Deduplicated(kept, list(range(len(kept))), problems)
    pairs = telling_pairs(kept, distance, warnings)
    _tell_of_two_labels(kept, pairs, problems, warnings)
    gone = _straddlers(kept, pairs, problems, warnings)
    left = [i for i in range(len(kept)) if i not in gone]
    position = {i: n for n, i in enumerate(left)}
    joined = [(position[i], position[j]) for i, j in _both(pairs) if i in position and j in position]
    return Deduplicated([kept[i] for i in left], connected(len(left), joined), problems, warnings)


def telling_pairs(pictures: Sequence[Picture], distance: int, warnings: list[str]) -> Pairs:
    """Pairs of near duplicates, but those of scenes, of which a warning tells."""
    is_alike = np.zeros(len(pictures), bool)
    crowded = crowded_labels(pictures, distance)
    looked_at = np.array([i for i, p in enumerate(pictures) if p.item.label not in crowded], np.int64)
    found = near_pairs([pictures[i] for i in looked_at], distance)
    pairs = Pairs(looked_at[found.first], looked_at[found.second], found.is_turned) if len(found) else found
    scenes = scene_labels(pictures, pairs) | crowded
    is_alike |= np.array([picture.item.label in scenes for picture in pictures], bool)
    groups = connected(len(pictures), _both(pairs))
    mixed = scene_groups(pictures, pairs, groups)
    is_alike |= np.array([group in mixed for group in groups], bool)
    pairs = without_labels(pictures, pairs, scenes)
    pairs = pairs.at(~is_alike[pairs.first] & ~is_alike[pairs.second])
    if is_alike.any():
        warnings.append(scene_warning(pictures, is_alike))
    return pairs


def _without_exact_copies(pictures: Sequence[Picture], problems: list[Problem]) -> list[Picture]:
    copies: dict[str, list[Picture]] = {}
    for picture in pictures:
        copies.setdefault(picture.sha256, []).append(picture)
    kept = []
    for same in copies.values():
        labels = sorted({picture.item.label for picture in same})
        if len(labels) > 1:
            problems += [_contradiction(p, [q for q in same if q is not p]) for p in same]
            continue
        best = min(same, key=lambda p: (_PRIORITY[p.item.split], p.item.name))
        kept.append(best)
        problems += [_copy(picture, best) for picture in same if picture is not best]
    return kept


def _copy(picture: Picture, best: Picture) -> Problem:
    across = picture.item.split != best.item.split
    reason = "copy of an image in another split" if across else "exact copy of another image"
    return Problem(picture.item.name, reason, f"same as {best.item.name}", picture.item.label)


def _contradiction(picture: Picture, others: Sequence[Picture]) -> Problem:
    named = ", ".join(f"{p.item.label}: {p.item.name}" for p in others[:3])
    return Problem(picture.item.name, "same picture under two labels", named, picture.item.label)


def _tell_of_two_labels(
    pictures: Sequence[Picture], pairs: Pairs, problems: list[Problem], warnings: list[str]
) -> None:
    """Which label is right is a question for a person: both images are kept. Turned ones may well have two."""
    asked = [
        (pictures[i], pictures[j])
        for i, j in _both(pairs.at(~pairs.is_turned))
        if pictures[i].item.label != pictures[j].item.label
    ]
    for a, b in asked:
        detail = f"like {b.item.label}: {b.item.name}"
        problems.append(Problem(a.item.name, TWO_LABELS, detail, a.item.label, "kept"))
    if asked:
        a, b = asked[0]
        n = f"{len(asked)} pairs of images look" if len(asked) > 1 else "2 images look"
        warnings.append(
            f"{n} nearly the same and have different labels: {shown(a.item.name, 80)} ({shown(a.item.label, 40)}),"
            f" {shown(b.item.name, 80)} ({shown(b.item.label, 40)}). They are kept, in train where they have no split;"
            " problems.csv lists them: is one label wrong?"
        )


def _straddlers(pictures: Sequence[Picture], pairs: Pairs, problems: list[Problem], warnings: list[str]) -> set[int]:
    """Positions of near duplicates in two given splits: the copy in the less protected split goes.

    A turned picture under another label is another example (a hand, an arrow): it stays.
    """
    gone: set[int] = set()
    first: tuple[Picture, Picture] | None = None
    labels = np.array([picture.item.label for picture in pictures], dtype=object)
    is_other = pairs.is_turned & (labels[pairs.first] != labels[pairs.second])
    for i, j in _both(pairs.at(~is_other)):
        splits = (pictures[i].item.split, pictures[j].item.split)
        if None in splits or splits[0] == splits[1] or {i, j} & gone:
            continue
        stays, goes = sorted((i, j), key=lambda k: _PRIORITY[pictures[k].item.split])
        gone.add(goes)
        a, b = pictures[goes], pictures[stays]
        first = first or (a, b)
        problems.append(Problem(a.item.name, NEAR_COPY, f"like {b.item.name}", a.item.label))
    if first is not None:
        warnings.append(
            f"{count(len(gone), 'image is', 'images are')} left out as near copies of an image in another given split,"
            f" the first {shown(first[0].item.name, 80)}, like {shown(first[1].item.name, 80)}; {OFF}"
        )
    return gone


def _both(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def connected(n: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The number of the connected group each of n things is in, given the pairs that belong together: its first's."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    joined = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, labels = connected_components(joined, directed=False)
    firsts = np.unique(labels, return_index=True)[1]  # a group has the number of its first member
    numbers: list[int] = firsts[labels].tolist()
    return numbers
