"""Folders as a source: one of class folders, or one of train, val and test with class folders inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...config.data import SplitName
from ...errors import DataError
from ..files.pictures import is_picture
from ..files.visible import quoted, shown
from ..labels.class_names import CLASSES_FILE
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from .listing import SPLIT_WORDS, Item, Listing
from .problems import PROBLEMS_FILE, Problem
from .source import Source, whole_path

OWN_FILES = frozenset({"dataset.json", "manifest.jsonl", "README.md", CLASSES_FILE, PROBLEMS_FILE})
READ_ALREADY = "a link to a folder that is read already"
IGNORED_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"})
NO_IMAGE_SUFFIXES = frozenset(
    [
        ".txt",
        ".md",
        ".rst",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".html",
        ".htm",
        ".log",
        ".ini",
        ".cfg",
        ".py",
        ".ipynb",
        ".mat",
        ".npy",
        ".npz",
        ".pkl",
        ".h5",
        ".parquet",
        ".zip",
        ".tar",
        ".gz",
        ".tgz",
        ".7z",
        ".rar",
        ".pdf",
        ".doc",
        ".docx",
        ".xls",
        ".xlsx",
        ".mp4",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mp3",
        ".wav",
        ".db",
        ".exe",
        ".lnk",
        ".url",
        ".xmp",
        ".pt",
        ".pth",
        ".safetensors",
    ]
)


@dataclass
class Tree:
    """Files under a folder as paths relative to it; hidden ones are only counted."""

    root: Path
    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0


def is_ignored(name: str) -> bool:
    """Whether a file or folder is the business of the operating system, not of a data set."""
    return name.startswith(".") or name.casefold() in IGNORED_NAMES


def is_image_like(path: Path) -> bool:
    """Whether a file may be an image by its name; one without a known suffix may."""
    return path.suffix.lower() not in NO_IMAGE_SUFFIXES


def walk(root: Path) -> Tree:
    """Every file under `root`, links followed once, in an order that does not depend on the file system.

    Raises DataError where `root` itself cannot be read; a folder below that cannot is a problem.
    """
    tree = Tree(root)
    try:
        status = root.stat()
        _walk(root, Path(), tree, {(status.st_dev, status.st_ino)})
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror or error}") from None
    return tree


def _walk(folder: Path, relative: Path, tree: Tree, seen: set[tuple[int, int]]) -> None:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        here = relative / entry.name
        if is_ignored(entry.name):
            tree.ignored += 1
            continue
        try:
            if not entry.is_dir():
                tree.files.append(here)
                continue
            status = entry.stat()
        except OSError as error:  # a link to itself, say: the others are read all the same
            tree.problems.append(Problem(str(here), "cannot be read", error.strerror or ""))
            continue
        if (status.st_dev, status.st_ino) in seen:
            tree.problems.append(Problem(str(here), READ_ALREADY))
            continue
        seen.add((status.st_dev, status.st_ino))
        tree.folders.append(here)
        try:
            _walk(folder / entry.name, here, tree, seen)
        except OSError as error:
            tree.problems.append(Problem(str(here), "folder cannot be read", error.strerror or ""))


def list_folder(root: Path) -> Listing:
    """The images of a folder of class folders, or of train, val and test folders.

    A folder that holds nothing but another is looked through. Raises DataError where there is no class.
    """
    tree = walk(root)
    prefix, notes = _skip_wrappers(tree)
    listing = Listing(root.resolve().name or "images", str(root), problems=tree.problems, ignored=tree.ignored)
    listing.notes += notes
    splits = _split_folders(tree, prefix)
    for path in tree.files:
        inner = path.relative_to(prefix) if path.is_relative_to(prefix) else path
        _sort_in(listing, root / path, path, inner, splits)
    _note_empty_folders(listing, tree, prefix, splits)
    if not listing.items:
        raise _no_classes(root, tree)
    return listing


def _sort_in(listing: Listing, file: Path, path: Path, inner: Path, splits: dict[str, SplitName]) -> None:
    """Put one file where it belongs: an item with its class, or a problem."""
    parts = inner.parts
    if len(parts) == 1 and parts[0] in OWN_FILES:
        return
    split = splits.get(parts[0])
    classes = parts[1:-1] if split else parts[:-1]
    if not is_image_like(path) and not is_picture(file):
        if len(parts) > 1:
            listing.problems.append(Problem(path.as_posix(), "not an image file"))
        return
    if not classes:
        listing.problems.append(Problem(path.as_posix(), "outside any class folder"))
    elif splits and split is None:
        listing.problems.append(Problem(path.as_posix(), "in a folder beside train, val and test", parts[0]))
    else:
        listing.items.append(Item(file, path.as_posix(), class_name(classes[0]), split))


def _skip_wrappers(tree: Tree) -> tuple[Path, list[str]]:
    """Where the class folders start: below folders that hold one folder and no image."""
    prefix = Path()
    while True:
        files = [f for f in tree.files if f.parent == prefix and is_image_like(f)]
        children = [f for f in tree.folders if f.parent == prefix and f != prefix]
        if files or len(children) != 1 or children[0].name.casefold() in SPLIT_WORDS:
            break
        inside = [f for f in tree.folders if f.parent == children[0]]
        loose = [f for f in tree.files if f.parent == children[0] and is_image_like(f)]
        if not inside or loose:
            break
        prefix = children[0]
    return prefix, [f"class folders were found in {shown(prefix.as_posix())}/"] if prefix != Path() else []


def _split_folders(tree: Tree, prefix: Path) -> dict[str, SplitName]:
    """Which folders are splits: those named so, with folders inside, if train is one of them or both others are, or
    if there is nothing but test: a set for measuring only."""
    named = {
        folder.name: SPLIT_WORDS[folder.name.casefold()]
        for folder in tree.folders
        if folder.parent == prefix and folder != prefix and folder.name.casefold() in SPLIT_WORDS
    }
    with_folders = {folder.parent for folder in tree.folders}
    splits = {name: split for name, split in named.items() if prefix / name in with_folders}
    found = set(splits.values())
    is_alone = [folder.name for folder in tree.folders if folder.parent == prefix and folder != prefix] == list(splits)
    is_split = "train" in found or {"val", "test"} <= found or (found == {"test"} and is_alone)
    return splits if is_split else {}


def _note_empty_folders(listing: Listing, tree: Tree, prefix: Path, splits: dict[str, SplitName]) -> None:
    filled = {item.label for item in listing.items}
    for folder in _class_folders(tree, prefix, splits):
        name = class_name(folder.name)
        if name not in filled:
            filled.add(name)
            listing.problems.append(Problem(folder.as_posix(), "class folder without images", label=name))


def _class_folders(tree: Tree, prefix: Path, splits: dict[str, SplitName]) -> Iterator[Path]:
    for folder in tree.folders:
        if not folder.is_relative_to(prefix) or folder == prefix:
            continue
        parts = folder.relative_to(prefix).parts
        if len(parts) == (2 if splits else 1) and (not splits or parts[0] in splits):
            yield folder


def _no_classes(root: Path, tree: Tree) -> DataError:
    loose = sum(is_image_like(path) and len(path.parts) == 1 for path in tree.files)
    layout = "one folder a class, images inside: pets/cat/1.jpg, pets/dog/2.jpg"
    if loose:
        return DataError(f"{root}: {loose} files, but no class folders", hint=layout)
    if tree.folders and not any(is_image_like(path) for path in tree.files):
        return DataError(
            f"{root}: its folders hold no images yet",
            hint=f"add images to each class folder, then run `clipft prepare {quoted(root)}` again",
        )
    return DataError(f"{root}: no class folders with images", hint=layout)


def _evidence(text: str) -> str:
    return f"{text} is a folder" if text and Path(text).is_dir() else ""


def _data_folder(text: str) -> str:
    name = Path(text).resolve().name
    return folder_name(name) if name else "images"


FOLDER = Source(
    "folder",
    "folder",
    _evidence,
    lambda request: list_folder(request.path),
    data_folder=_data_folder,
    origin=whole_path,
    images_may_stay=True,
    is_folder=True,
)
