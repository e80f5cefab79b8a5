"""Two published pet data sets, from their own archives: Stanford Dogs and the Oxford-IIIT Pets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ...config.commands import PrepareOptions
from ...config.data import SplitName
from ...errors import DataError
from ..labels.names import class_name
from .archives import Unpacked, unpack
from .downloads import Remote, download
from .folders import list_folder, walk
from .listing import Item, Listing
from .problems import Problem

Progress = Callable[[str, int, int | None], None]

# Neither publisher gives a checksum on its page.
STANFORD_DOGS = Remote("http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar", "stanford-dogs-images.tar")
PETS_IMAGES = Remote("https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz", "oxford-pets-images.tar.gz")
PETS_LISTS = Remote("https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz", "oxford-pets-annotations.tar.gz")
_PET_FILE = re.compile(r"^(?P<breed>.+)_\d+$")


def _fetch(remote: Remote, downloads: Path, on_progress: Progress) -> Path:
    return download(remote, downloads, lambda done, total: on_progress(f"downloading {remote.file_name}", done, total))


def _unpack(archive: Path, folder: Path, on_progress: Progress) -> Unpacked:
    return unpack(archive, folder, lambda n: on_progress(f"unpacking {archive.name}", n, None))


def _given(options: PrepareOptions) -> Path | None:
    archive = options.archive
    if archive is not None and not archive.is_file():
        what = "is a folder, the archive file itself is needed" if archive.is_dir() else "no such file"
        raise DataError(f"--archive {archive}: {what}")
    return archive


def list_stanford_dogs(options: PrepareOptions, work: Path, downloads: Path, on_progress: Progress) -> Listing:
    """120 breeds, 20,580 photographs: class folders such as n02085620-Chihuahua in images.tar."""
    given = _given(options)
    archive = given or _fetch(STANFORD_DOGS, downloads, on_progress)
    unpacked = _unpack(archive, work / "unpacked", on_progress)
    listing = list_folder(unpacked.folder)
    listing.name, listing.description = "stanford-dogs", "Stanford Dogs"
    listing.problems = unpacked.problems + listing.problems
    listing.ignored += unpacked.ignored
    listing.notes.append(_origin_note(STANFORD_DOGS, given))
    listing.notes.append("the publisher's train and test lists are a separate download and are not used: split by seed")
    return listing


def _origin_note(remote: Remote, given: Path | None) -> str:
    return f"taken from {given}, nothing was downloaded" if given else remote.checksum_note


def list_oxford_pets(options: PrepareOptions, work: Path, downloads: Path, on_progress: Progress) -> Listing:
    """37 breeds, 7,390 photographs: the breed is in the file name, the official split in annotations.tar.gz.

    With --archive the lists are looked for in that archive, and in annotations.tar.gz beside it.
    """
    given = _given(options)
    archive = given or _fetch(PETS_IMAGES, downloads, on_progress)
    unpacked = _unpack(archive, work / "images", on_progress)
    listing = Listing("oxford-pets", "Oxford-IIIT Pets", problems=unpacked.problems, ignored=unpacked.ignored)
    listing.notes.append(_origin_note(PETS_IMAGES, given))
    splits = _official_splits(given, unpacked.folder, work, downloads, on_progress)
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


def _official_splits(
    given: Path | None, images: Path, work: Path, downloads: Path, on_progress: Progress
) -> dict[str, SplitName]:
    """Image name -> split, from trainval.txt and test.txt; empty where they are not at hand."""
    folder = images
    if given is None:
        folder = _unpack(_fetch(PETS_LISTS, downloads, on_progress), work / "lists", on_progress).folder
    elif (beside := given.with_name("annotations.tar.gz")).is_file() and beside != given:
        folder = _unpack(beside, work / "lists", on_progress).folder
    splits: dict[str, SplitName] = {}
    lists: tuple[tuple[str, SplitName], ...] = (("trainval.txt", "train"), ("test.txt", "test"))
    for name, split in lists:
        for path in sorted(folder.rglob(name)):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.strip() and not line.startswith("#"):
                    splits[line.split()[0]] = split
    return splits
