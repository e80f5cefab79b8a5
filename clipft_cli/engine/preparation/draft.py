"""From a listing to a data set in memory: classes chosen, images checked, duplicates out, splits assigned."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...config.commands import PrepareConfig
from ...config.data import SplitName
from ...errors import DataError
from ..files.visible import shown
from ..labels.class_names import CLASSES_FILE, ClassInfo, edited_names, listed_names
from ..labels.folder_names import storable
from ..labels.names import class_name
from ..labels.prompt_words import readable_names
from ..sources.listing import Item, Listing, choose_classes
from ..sources.problems import Problem
from .checks import Picture, look_at_all
from .class_sizes import NO_TRAINING_IMAGES, check_class_sizes, small_classes
from .duplicates import remove_duplicates
from .joined_classes import check_alike, join_classes
from .known_labels import with_known_labels
from .split import assign_splits, rank_of
from .target import Target

OnProgress = Callable[[str, int, int | None], None]


@dataclass
class Draft:
    """A data set on its way: what is kept, where each picture goes, and what was left out."""

    pictures: list[Picture]
    groups: list[int]
    splits: list[SplitName]
    classes: list[ClassInfo]
    problems: list[Problem]
    warnings: list[str]

    def labels(self) -> list[int]:
        """The label of each picture: its class's place in class order."""
        place = {info.name: i for i, info in enumerate(self.classes)}
        return [place[picture.item.label] for picture in self.pictures]


def make_draft(config: PrepareConfig, target: Target, listing: Listing, on_progress: OnProgress) -> Draft:
    """Choose classes, look at every image, drop duplicates, divide."""
    options = config.prepare
    with_known_labels(listing, target)
    warnings: list[str] = [target.note] if target.note else []
    join_classes(listing, options.merge, warnings)
    kept = set(choose_classes(listing, options.include, options.exclude, options.num_classes))
    check_alike(sorted(kept), listing, config, warnings)
    items = [item for item in _with_known_splits(listing, target) if item.label in kept]
    if target.stays:
        items = _with_names_in_utf8(items, listing)
    left_off = set(listing.labels()) - kept
    problems = [problem for problem in listing.problems if problem.label not in left_off]
    pictures, unreadable = look_at_all(items, lambda done, total: on_progress("checking", done, total))
    problems += unreadable
    pictures = _large_enough(pictures, options.min_size, problems)
    found = remove_duplicates(pictures, options.near_duplicate_distance)
    problems += found.problems
    warnings += found.warnings
    pictures, groups = _sample(found.kept, found.groups, options.samples_per_class, config.seed, listing)
    pictures, groups = _only_with_train(pictures, groups, problems)
    small = small_classes(kept, pictures, groups, options.min_per_class, warnings)
    pictures, groups = _without(small, "its class is too small", pictures, groups, problems)
    kept -= small
    check_class_sizes(kept, pictures, groups, config, problems, listing)
    splits = assign_splits(pictures, groups, options.split, config.seed)
    present = {picture.item.label for picture in pictures}
    names = [name for name in listing.labels() if name in kept & present]
    classes = _class_infos(names, target)
    _warn_about_splits(pictures, splits, classes, warnings, options.split)
    return Draft(pictures, groups, splits, classes, problems, warnings)


def _with_names_in_utf8(items: list[Item], listing: Listing) -> list[Item]:
    """Items that a manifest can name; a copy would get a new name, a file that stays cannot."""
    named = [item for item in items if storable(str(item.file)) == str(item.file)]
    others = [item for item in items if storable(str(item.file)) != str(item.file)]
    listing.problems += [Problem(item.name, "file name is not UTF-8", "", item.label) for item in others]
    return named


def _with_known_splits(listing: Listing, target: Target) -> list[Item]:
    """Items with the splits they have: of their last preparation, or given; train alone is no split at all."""
    items = listing.items
    if target.previous is not None:
        root = target.root
        known = {(root / row.path).as_posix(): row for row in target.previous.rows}
        names = [info.name for info in target.previous.classes]
        rows = [known.get(item.file.as_posix()) or known.get(item.file.absolute().as_posix()) for item in items]
        items = [
            dataclasses.replace(item, split=row.split) if row and names[row.label] == item.label else item
            for item, row in zip(items, rows, strict=True)
        ]
    given = {item.split for item in items} - {None}
    if given == {"train"}:
        listing.notes.append("only train/ holds images: val and test are cut from it by the shares of --split")
        return [dataclasses.replace(item, split=None) for item in items]
    if given and "train" not in given and not any(item.split is None for item in items):
        raise DataError(f"{listing.description}: no images in train", hint="put images into train/<class>/")
    if "test" in given and "val" not in given:
        listing.notes.append("no val images were given: val is cut from train, test is left as it is")
    return items


def _sample(
    pictures: list[Picture], groups: list[int], limit: int | None, seed: int, listing: Listing
) -> tuple[list[Picture], list[int]]:
    """At most `limit` pictures of each class and, where splits are given, the same share of each."""
    if limit is None:
        return pictures, groups
    by_class: dict[str, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i in sorted(range(len(pictures)), key=lambda i: rank_of(seed, pictures[i].sha256)):
        by_class[pictures[i].item.label][pictures[i].item.split].append(i)
    kept: set[int] = set()
    for by_split in by_class.values():
        share = min(1.0, limit / sum(len(found) for found in by_split.values()))
        first = {split: max(1, round(share * len(found))) for split, found in by_split.items()}
        ranked = [i for split, found in by_split.items() for i in found[: first[split]]]
        ranked += [i for split, found in by_split.items() for i in found[first[split] :]]
        kept.update(ranked[:limit])
    if len(kept) < len(pictures):
        listing.notes.append(f"{len(kept):,} of {len(pictures):,} images are kept: at most {limit} of each class")
    chosen = sorted(kept)
    return [pictures[i] for i in chosen], [groups[i] for i in chosen]


def _only_with_train(
    pictures: list[Picture], groups: list[int], problems: list[Problem]
) -> tuple[list[Picture], list[int]]:
    """Without the val and test images of classes that train lacks: nothing could be learned about them."""
    learnable = {p.item.label for p in pictures if p.item.split in (None, "train")}
    others = {p.item.label for p in pictures} - learnable
    return _without(others, NO_TRAINING_IMAGES, pictures, groups, problems)


def _without(
    labels: set[str], reason: str, pictures: list[Picture], groups: list[int], problems: list[Problem]
) -> tuple[list[Picture], list[int]]:
    """The pictures of other classes than `labels`, with their groups; the rest becomes problems."""
    problems += [Problem(p.item.name, reason, "", p.item.label) for p in pictures if p.item.label in labels]
    kept = [i for i, picture in enumerate(pictures) if picture.item.label not in labels]
    return [pictures[i] for i in kept], [groups[i] for i in kept]


def _large_enough(pictures: list[Picture], min_px: int, problems: list[Problem]) -> list[Picture]:
    """Those whose shorter side has `min_px` pixels; the rest becomes problems."""
    for picture in pictures:
        if min(picture.width, picture.height) < min_px:
            size = f"{picture.width} x {picture.height}"
            problems.append(Problem(picture.item.name, "smaller than --min-size", size, picture.item.label))
    return [picture for picture in pictures if min(picture.width, picture.height) >= min_px]


def _class_infos(names: list[str], target: Target) -> list[ClassInfo]:
    """Classes with readable names; those edited in a data set that is prepared again are kept."""
    edited: dict[str, str] = {}
    if target.is_again:
        before = [info.name for info in target.previous.classes] if target.previous else []
        in_folders = [class_name(path.name) for path in target.root.glob("*/*") if path.is_dir()]
        listed = listed_names(target.root / CLASSES_FILE) if target.previous is None else []
        edited = edited_names(target.root / CLASSES_FILE, [*names, *before, *in_folders, *listed])
    fresh = readable_names(names)
    return [ClassInfo(name, edited.get(name, words)) for name, words in zip(names, fresh, strict=True)]


def _warn_about_splits(
    pictures: Sequence[Picture],
    splits: Sequence[SplitName],
    classes: Sequence[ClassInfo],
    warnings: list[str],
    shares: tuple[float, float, float],
) -> None:
    present = {(picture.item.label, split) for picture, split in zip(pictures, splits, strict=True)}
    found = {split for _, split in present}
    if "test" not in found and shares[2] > 0:
        warnings.append("there are no test images: nothing can be measured at the end but val, which chose the epoch")
    if "val" not in found:
        warnings.append("there are no val images: no epoch can be chosen")
    for split in ("val", "test"):
        without = [info.name for info in classes if (info.name, split) not in present]
        if split in found and without:
            named = ", ".join(shown(name, 40) for name in without[:5]) + (", ..." if len(without) > 5 else "")
            warnings.append(f"{len(without)} classes have no {split} images: {named}")
    if all(info.readable.isdigit() for info in classes):
        warnings.append("class names are numbers, which say nothing to CLIP: edit classes.txt")
