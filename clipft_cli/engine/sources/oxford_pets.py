"""The Oxford-IIIT Pets as a source: 37 breeds, 7,390 photographs, from the publisher's own archives."""

from __future__ import annotations

import re
from pathlib import Path

from ...config.data import SplitName
from ...errors import DataError
from ..files.regular import regular_bytes
from ..labels.names import class_name
from .downloads import Remote
from .listing import Item, Listing
from .problems import Problem
from .published import called, fetch, given_archive, origin_note, unpack_to
from .source import Source, SourceRequest
from .tree import walk

# The publisher gives no checksum on its page.
IMAGES = Remote("https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz", "oxford-pets-images.tar.gz")
LISTS = Remote("https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz", "oxford-pets-annotations.tar.gz")
_PET_FILE = re.compile(r"^(?P<breed>.+)_\d+$")


def list_oxford_pets(request: SourceRequest) -> Listing:
    """The breed is in the file name, the official split in annotations.tar.gz.

    With --archive the lists are looked for in that archive, and in annotations.tar.gz beside it.
    Raises DataError, DownloadError.
    """
    given = given_archive(request)
    archive = given or fetch(IMAGES, request)
    unpacked = unpack_to(request.work / "images", archive, request)
    listing = Listing("oxford-pets", "Oxford-IIIT Pets", problems=unpacked.problems, ignored=unpacked.ignored)
    listing.notes.append(origin_note(IMAGES, given))
    splits = _official_splits(given, unpacked.folder, request)
    if splits:
        listing.notes.append("the official test images are kept as test; val is cut from trainval")
    else:
        listing.notes.append("no annotations.tar.gz beside the archive: split by seed, not the official test images")
    for path in walk(unpacked.folder).files:
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        found = _PET_FILE.match(path.stem)
        if found is None:
            listing.problems.append(Problem(path.as_posix(), "file name without a breed"))
        else:
            label = class_name(found["breed"])
            listing.items.append(Item(unpacked.folder / path, path.as_posix(), label, splits.get(path.stem)))
    if not listing.items:
        raise DataError(f"{archive}: holds no images named like Abyssinian_1.jpg", hint="is it images.tar.gz?")
    return listing


def _official_splits(given: Path | None, images: Path, request: SourceRequest) -> dict[str, SplitName]:
    """Image name -> split, from trainval.txt and test.txt; empty where they are not at hand."""
    folder = images
    if given is None:
        folder = unpack_to(request.work / "lists", fetch(LISTS, request), request).folder
    elif (beside := given.with_name("annotations.tar.gz")).is_file() and beside != given:
        folder = unpack_to(request.work / "lists", beside, request).folder
    splits: dict[str, SplitName] = {}
    lists: tuple[tuple[str, SplitName], ...] = (("trainval.txt", "train"), ("test.txt", "test"))
    for name, split in lists:
        for path in sorted(folder.rglob(name)):
            for line in regular_bytes(path).decode("utf-8", "replace").splitlines():
                if line.strip() and not line.startswith("#"):
                    splits[line.split()[0]] = split
    return splits


OXFORD_PETS = Source("oxford-pets", "oxford-pets", called("oxford-pets"), list_oxford_pets)
