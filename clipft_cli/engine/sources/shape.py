"""The folders of a tree as far as their layout goes: which hold images, which hold folders of images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .tree import Tree, is_image_like

IMAGE_FOLDERS = frozenset(
    {"image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "jpg", "jpeg", "png", "rgb"}
    | {"jpegimages", "original", "originals", "raw", "input", "inputs"}
)
_MASK_FOLDER = re.compile(
    r"(.*[ _-])?(masks?|annotations?|trimaps?|segmentations?|ground[ _-]?truths?)([ _-].*)?|labels?|gt|seg|bbox(es)?",
    re.IGNORECASE,
)
_MASK_FILE = re.compile(
    r"(?P<stem>.+?)(?P<mark>[ _-](?:mask|masks|seg|segmentation|gt|groundtruth|label|trimap))(?:[ _-]?\d+)?",
    re.IGNORECASE,
)


@dataclass
class Folder:
    """A folder: names of the images directly inside, how many other files, and the folders."""

    name: str = ""
    images: list[str] = field(default_factory=list)
    others: int = 0
    folders: dict[str, Folder] = field(default_factory=dict)
    total: int = 0
    """Images in it, at any depth."""

    def full(self) -> list[Folder]:
        """The folders inside that hold images, at any depth."""
        return [folder for folder in self.folders.values() if folder.total]

    @property
    def is_empty(self) -> bool:
        """Whether no file lies in it, at any depth."""
        return not (self.total or self.others) and all(folder.is_empty for folder in self.folders.values())


def shape_of(tree: Tree) -> Folder:
    """The folders of a tree, each with its images; what may be an image is told by the name."""
    root = Folder()
    at = {".": root}
    for path in tree.folders:
        at[str(path)] = at[str(path.parent)].folders.setdefault(path.name, Folder(path.name))
    for path in tree.files:
        folder = at[str(path.parent)]
        if is_image_like(path):
            folder.images.append(path.name)
        else:
            folder.others += 1
    _count(root)
    return root


def _count(folder: Folder) -> int:
    folder.total = len(folder.images) + sum(map(_count, folder.folders.values()))
    return folder.total


def without_masks(folders: Iterable[Folder]) -> list[Folder]:
    """The folders, without those of masks where one of images lies beside them."""
    folders = list(folders)
    if not any(folder.name.casefold() in IMAGE_FOLDERS for folder in folders):
        return folders
    return [folder for folder in folders if not is_mask_folder(folder.name)]


def is_mask_folder(name: str) -> bool:
    """Whether a folder beside images sounds like one of masks or other annotations."""
    return name.casefold() not in IMAGE_FOLDERS and _MASK_FOLDER.fullmatch(name) is not None


def inner(folder: Folder, stops_at: Mapping[str, object] = {}) -> tuple[list[Folder], Folder]:
    """Through folders that hold nothing but another with folders of images: those passed, and the last.

    Folders without images beside it do not count where files lie in them (`annotations/*.xml`); an empty one may be
    a class, and ends it, as does a name in `stops_at`, in small letters.
    """
    passed = []
    while not folder.images:
        kids = without_masks(folder.full())
        has_empty = any(kid.is_empty for kid in folder.folders.values())
        if len(kids) != 1 or has_empty or kids[0].images or not kids[0].full():
            break
        if kids[0].name.casefold() in stops_at:
            break
        folder = kids[0]
        passed.append(folder)
    return passed, folder


def mask_marks(folder: Folder) -> set[str]:
    """Ends of names, such as `_mask`, of images directly inside that are masks of others there."""
    stems = {name.rpartition(".")[0] or name for name in folder.images}
    found = (_MASK_FILE.fullmatch(stem) for stem in stems)
    return {match["mark"] for match in found if match and match["stem"] in stems}
