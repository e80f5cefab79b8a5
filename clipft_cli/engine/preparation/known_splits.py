"""The splits that images have before any is chosen: of their last preparation, given by the source, or all test."""

from __future__ import annotations

import dataclasses

from ...errors import DataError
from ..sources.listing import Item, Listing
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
    if "test" in given and "val" not in given:
        listing.notes.append("no val images were given: val is cut from train, test is left as it is")
    return items, shares


def decided_anew(pictures: list[Picture], warnings: list[str]) -> list[Picture]:
    """Pictures without their given splits where those that are left are train alone: val and test lost their images."""
    given = {picture.item.split for picture in pictures}
    if given != {"train"}:
        return pictures
    warnings.append("of the given splits only train has usable images: val and test are cut from it by --split")
    return [dataclasses.replace(p, item=dataclasses.replace(p.item, split=None)) for p in pictures]


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
