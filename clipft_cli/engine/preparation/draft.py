"""From a listing to a data set in memory: classes chosen, images checked, duplicates out, splits assigned."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...config.data import SplitName
from ...config.prepare import PrepareConfig
from ..labels.class_names import CLASSES_FILE, ClassInfo, edited_names, listed_names
from ..labels.folder_names import storable
from ..labels.names import class_name
from ..labels.prompt_words import readable_names
from ..sources.columns import NONE
from ..sources.listing import Item, Listing, choose_classes
from ..sources.losses import class_losses, file_losses
from ..sources.problems import NO_TRAINING_IMAGES, TOO_SMALL, Problem
from .checks import Picture, look_at_all
from .class_sizes import check_class_sizes, small_classes
from .duplicates import Deduplicated, remove_duplicates
from .earlier import Earlier, kept_names, with_earlier_splits
from .group_hints import burst_pairs, suggest_groups
from .grouped_split import assign_grouped
from .groups import check_given_splits, group_note, has_groups, join_groups
from .joined_classes import check_alike, join_classes
from .known_labels import with_known_labels
from .known_splits import check_columns_were_read, decided_anew, with_known_splits
from .picture_checks import warn_about_pictures
from .split import Shares, assign_splits, is_test_only, rank_of, without_test
from .split_checks import warn_about_splits
from .target import Target

OnProgress = Callable[[str, int, int | None], None]


@dataclass
class Draft:
    """A data set on its way: what is kept, where each picture goes, and what was left out.

    `near`: the number of the group of near duplicates that each picture is in.
    """

    pictures: list[Picture]
    near: list[int]
    splits: list[SplitName]
    classes: list[ClassInfo]
    problems: list[Problem]
    warnings: list[str]
    shares: Shares

    def labels(self) -> list[int]:
        """The label of each picture: its class's place in class order."""
        place = {info.name: i for i, info in enumerate(self.classes)}
        return [place[picture.item.label] for picture in self.pictures]


def settle_labels(config: PrepareConfig, target: Target, listing: Listing) -> None:
    """Give images of one class one label: as it was when they were prepared last, or as splits and options say."""
    with_known_labels(listing, target)
    join_classes(listing, config.prepare.merge, listing.warnings)


@dataclass(frozen=True)
class Choice:
    """What is taken of a listing before any image is opened: the images of classes that are `kept`, and the shares."""

    items: list[Item]
    kept: set[str]
    shares: Shares


def choose(config: PrepareConfig, target: Target, listing: Listing, warnings: list[str]) -> Choice:
    """Classes and splits as options and source say; labels are settled. Raises ClipftError where they cannot be."""
    options = config.prepare
    check_columns_were_read(listing, target, config)
    wished = options.split if not options.holdout_column else without_test(options.split)
    items, shares = with_known_splits(listing, target, wished, is_ignored=_is_ignored(config))
    config = config.model_copy(update={"prepare": options.model_copy(update={"split": shares})})
    fewest = 1 if is_test_only(shares) else 2
    kept = set(choose_classes(listing, options.include, options.exclude, options.num_classes, fewest))
    check_alike(sorted(kept), listing, config, warnings)
    return Choice([item for item in items if item.label in kept], kept, shares)


def losses_of(choice: Choice) -> list[str]:
    """Warnings of classes that are lost because no image of theirs is for training."""
    if is_test_only(choice.shares):
        return []
    learnable = {item.label for item in choice.items if item.split in (None, "train")}
    lost = [Problem(i.name, NO_TRAINING_IMAGES, "", i.label) for i in choice.items if i.label not in learnable]
    return class_losses(lost, learnable)


def _is_ignored(config: PrepareConfig) -> bool:
    """Whether all images are divided anew, whatever splits the source gives."""
    return config.prepare.given_splits == "ignore" and not config.prepare.holdout_column


def make_draft(config: PrepareConfig, target: Target, listing: Listing, on_progress: OnProgress) -> Draft:
    """Choose classes, look at every image, drop duplicates, divide. The labels of `listing` are settled."""
    options = config.prepare
    warnings: list[str] = [*([target.note] if target.note else []), *listing.warnings]
    choice = choose(config, target, listing, warnings)
    items, kept, shares = choice.items, choice.kept, choice.shares
    config = config.model_copy(update={"prepare": options.model_copy(update={"split": shares})})
    if target.stays:
        items = _with_names_in_utf8(items, listing)
    left_off = set(listing.labels()) - kept
    problems = [problem for problem in listing.problems if problem.label not in left_off]
    pictures = _usable(items, options.min_size, problems, on_progress)
    earlier = target.earlier if not _is_ignored(config) else None
    pictures = with_earlier_splits(pictures, earlier)
    found = remove_duplicates(pictures, options.near_duplicate_distance)
    problems += found.problems
    warnings += found.warnings
    pictures, groups = _sample(found.kept, found.groups, config, listing, earlier)
    if not is_test_only(shares):
        pictures, groups = _only_with_train(pictures, groups, problems)
        pictures = decided_anew(pictures, items, warnings)
    groups = _with_groups(pictures, groups, config, target, listing=listing, warnings=warnings)
    kept -= (small := small_classes(kept, pictures, groups, options.min_per_class, warnings))
    pictures, groups = _without(small, TOO_SMALL, pictures, groups, problems)
    check_class_sizes(kept, pictures, groups, config, problems=problems, listing=listing)
    divide = assign_grouped if has_groups(pictures) and not is_test_only(shares) else assign_splits
    splits = divide(pictures, groups, shares, config.seed)
    present = {picture.item.label for picture in pictures}
    names = [name for name in listing.labels() if name in kept & present]
    edited = {**listing.class_words, **kept_names(target.earlier, names, pictures, warnings)}
    classes = _class_infos(names, target, edited)
    warnings += _losses(problems, pictures, listing, small)
    warn_about_splits(pictures, splits, classes, warnings, shares)
    warn_about_pictures(pictures, warnings)
    return Draft(pictures, _near_groups(found, pictures), splits, classes, problems, warnings, shares)


def _losses(problems: Sequence[Problem], pictures: Sequence[Picture], listing: Listing, small: set[str]) -> list[str]:
    """Warnings of the classes and files that were lost since the source was read; `small` ones are told already."""
    told = {problem.label for problem in listing.problems} - set(listing.labels()) | small
    present = {picture.item.label for picture in pictures}
    return [*class_losses(problems, present, told), *file_losses(problems, len(pictures), listing.told)]


def _near_groups(found: Deduplicated, pictures: list[Picture]) -> list[int]:
    """The number of the group of near duplicates of each picture."""
    groups = dict(zip((picture.sha256 for picture in found.kept), found.groups, strict=True))
    return [groups[picture.sha256] for picture in pictures]


def _with_groups(
    pictures: list[Picture],
    near: list[int],
    config: PrepareConfig,
    target: Target,
    *,
    listing: Listing,
    warnings: list[str],
) -> list[int]:
    """The unit of each picture: near copies, groups and bursts joined; or a warning where there seem to be groups."""
    seconds = config.prepare.burst_seconds
    bursts = burst_pairs(pictures, seconds) if seconds is not None else []
    if has_groups(pictures):
        check_given_splits(pictures, config, listing.description)
        listing.notes.append(group_note(pictures))
    elif (
        config.prepare.group_column != NONE
        and target.kind.content(config.prepare) is None
        and not is_test_only(config.prepare.split)
    ):
        suggest_groups(pictures, config, listing.read_as.get("paths") if target.kind.is_folder else None, warnings)
    if bursts:
        listing.notes.append(
            f"{len({i for pair in bursts for i in pair}):,} images of bursts are kept with their burst"
        )
    return join_groups(pictures, near, bursts, warnings)


def _with_names_in_utf8(items: list[Item], listing: Listing) -> list[Item]:
    """Items that a manifest can name; a copy would get a new name, a file that stays cannot."""
    named = [item for item in items if storable(str(item.file)) == str(item.file)]
    others = [item for item in items if storable(str(item.file)) != str(item.file)]
    listing.problems += [Problem(item.name, "file name is not UTF-8", "", item.label) for item in others]
    return named


def _sample(
    pictures: list[Picture], groups: list[int], config: PrepareConfig, listing: Listing, earlier: Earlier | None
) -> tuple[list[Picture], list[int]]:
    """At most `samples_per_class` pictures of each class and, where splits are given, the same share of each.

    Those of an earlier data set come first.
    """
    limit = config.prepare.samples_per_class
    if limit is None:
        return pictures, groups
    by_class: dict[str, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    known = earlier.splits if earlier is not None else {}
    for i in sorted(range(len(pictures)), key=lambda i: rank_of(config.seed, pictures[i].sha256)):
        if pictures[i].sha256 not in known:
            by_class[pictures[i].item.label][pictures[i].item.split].append(i)
    kept = {i for i, picture in enumerate(pictures) if picture.sha256 in known}
    n_known = Counter(pictures[i].item.label for i in kept)
    for label, by_split in by_class.items():
        n = max(0, limit - n_known[label])
        share = min(1.0, n / sum(len(found) for found in by_split.values()))
        first = {split: max(1, round(share * len(found))) for split, found in by_split.items()}
        ranked = [i for split, found in by_split.items() for i in found[: first[split]]]
        ranked += [i for split, found in by_split.items() for i in found[first[split] :]]
        kept.update(ranked[:n])
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


def _usable(items: list[Item], min_px: int, problems: list[Problem], on_progress: OnProgress) -> list[Picture]:
    """Those that can be read and whose shorter side has `min_px` pixels; the rest becomes problems."""
    pictures, unreadable = look_at_all(items, lambda done, total: on_progress("checking", done, total))
    problems += unreadable
    for picture in pictures:
        if min(picture.width, picture.height) < min_px:
            size = f"{picture.width} x {picture.height}"
            problems.append(Problem(picture.item.name, "smaller than --min-size", size, picture.item.label))
    return [picture for picture in pictures if min(picture.width, picture.height) >= min_px]


def _class_infos(names: list[str], target: Target, edited: dict[str, str]) -> list[ClassInfo]:
    """Classes with readable names, `edited` ones first; those of a data set that is prepared again are kept."""
    if target.is_again:
        before = [info.name for info in target.previous.classes] if target.previous else []
        in_folders = [class_name(path.name) for path in target.root.glob("*/*") if path.is_dir()]
        listed = listed_names(target.root / CLASSES_FILE) if target.previous is None else []
        edited = edited_names(target.root / CLASSES_FILE, [*names, *before, *in_folders, *listed])
    fresh = readable_names(names)
    return [ClassInfo(name, edited.get(name, words)) for name, words in zip(names, fresh, strict=True)]
