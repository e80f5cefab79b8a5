"""The splits that images have before any is chosen: of their last preparation, given by the source, or all test."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...config.prepare import PrepareConfig
from ...errors import ConfigError, DataError
from ..sources.listing import Item, Listing
from ..sources.same_again import same_again
from .checks import Picture
from .split import TEST_ONLY, Shares, is_test_only
from .target import Target


def with_known_splits(
    listing: Listing, target: Target, shares: Shares, *, is_ignored: bool = False
) -> tuple[list[Item], Shares]:
    """Items with the splits they have, and the shares by which the others are divided.

    train alone is no split at all; test alone, or `shares` of 0/0/1, makes a set that is for measuring only.
    `is_ignored`: what is given does not count. Raises DataError where splits are given and none is train.
    """
    items = _of_last_time(listing.items, target) if target.previous is not None else listing.items
    if is_ignored:
        items = [dataclasses.replace(item, split=None) for item in items]
    given = {item.split for item in items} - {None}
    has_open = any(item.split is None for item in items)
    if is_test_only(shares) or (given == {"test"} and not has_open):
        if given - {"test"}:
            listing.notes.append("all images are for test, those of other folders too, as --split 0/0/1 says")
        return [dataclasses.replace(item, split="test") for item in items], TEST_ONLY
    if given == {"train"}:
        listing.notes.append("only train/ holds images: val and test are cut from it by the shares of --split")
        return [dataclasses.replace(item, split=None) for item in items], shares
    if given and "train" not in given and not has_open:
        raise DataError(
            f"{listing.description}: no images in train",
            hint="put images into train/<class>/; or `--split 0/0/1` takes all of them for measuring",
        )
    if given == {"test"}:
        held = "what was held out" if shares[2] == 0 else "what the source gives as test"
        listing.notes.append(f"test is {held}, the other images are divided into train and val")
    elif "test" in given and "val" not in given:
        listing.notes.append("no val images were given: val is cut from train, test is left as it is")
    return items, shares


def check_columns_were_read(listing: Listing, target: Target, config: PrepareConfig) -> None:
    """Raises ConfigError for a column of groups or of a value held out that nothing was read from."""
    options = config.prepare
    of_groups = options.group_column not in (None, "none")
    if of_groups and all(item.group is None for item in listing.items):
        way = same_again(
            config.model_copy(update={"prepare": options.model_copy(update={"group_column": None})}),
            "--paths",
            "{class}/{group}/*",
        )
        raise ConfigError(
            f"--group-column {options.group_column}: {listing.description} has no column with such values",
            hint=f"of folders and file names, `{way}` says where the group stands" if target.kind.is_folder else "",
        )
    if options.holdout_column and all(item.split != "test" for item in listing.items):
        raise ConfigError(
            f"--holdout-column {options.holdout_column[0]}: {listing.description} has no images of this value",
            hint="it names a column of a table; folders that are test are said by --paths '{split}/{class}'",
        )


def decided_anew(pictures: list[Picture], items: Sequence[Item], warnings: list[str]) -> list[Picture]:
    """Pictures whose split is open where val or test was given to `items` and has lost all its images.

    Train is opened then, so that the lost split is cut from it; of a lost val alone that is done in any case.
    """
    given = {picture.item.split for picture in pictures}
    lost = sorted({item.split for item in items if item.split in ("val", "test")} - given, reverse=True)
    if not lost or "train" not in given:
        return pictures
    n = {split: sum(item.split == split for item in items) for split in lost}
    named = " and ".join(f"{split} ({n[split]:,} image{'s' if n[split] > 1 else ''})" for split in lost)
    cut = "val and test are" if len(lost) > 1 else f"{lost[0]} is"
    warnings.append(f"of the given {named} no image can be used: {cut} cut from train, by --split")
    if lost == ["val"]:
        return pictures
    return [
        dataclasses.replace(p, item=dataclasses.replace(p.item, split=None)) if p.item.split == "train" else p
        for p in pictures
    ]


def _of_last_time(items: list[Item], target: Target) -> list[Item]:
    assert target.previous is not None
    known = {(target.root / row.path).as_posix(): row for row in target.previous.rows}
    names = [info.name for info in target.previous.classes]
    rows = [known.get(item.file.as_posix()) or known.get(item.file.absolute().as_posix()) for item in items]
    return [
        dataclasses.replace(item, split=row.split, group=item.group or row.group)
        if row and names[row.label] == item.label
        else item
        for item, row in zip(items, rows, strict=True)
    ]
