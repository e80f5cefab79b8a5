"""The files under a folder: all that may be images, and none that are the business of the system."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DataError
from .problems import Problem

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
READ_ALREADY = "a link to a folder that is read already"
SYSTEM_NAMES = frozenset(
    [
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "_ds_store", "__pycache__"),
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@__thumb", "@tmp", "@sharebin"),
        *("$recycle.bin", "recycler", "system volume information", "found.000", "lost+found", "lost+found.old"),
        *("~snapshot", "network trash folder", "temporary items", "desktop db", "desktop df", "trashes"),
    ]
)
"""What systems, network drives and archivers put beside a person's files, in small letters."""
NO_IMAGE_SUFFIXES = frozenset(
    [
        *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".htm", ".log"),
        *(".ini", ".cfg", ".py", ".ipynb", ".mat", ".npy", ".npz", ".pkl", ".h5", ".parquet", ".db", ".xmp"),
        *(
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
            ".exe",
            ".lnk",
            ".url",
        ),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav", ".pt", ".pth", ".safetensors"),
    ]
)


@dataclass
class Tree:
    """Files under a folder as paths relative to it. Hidden ones are only counted; `system` names folders among them."""

    root: Path
    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0
    system: set[str] = field(default_factory=set)


def is_ignored(name: str) -> bool:
    """Whether a file or folder is the business of the operating system, not of a data set."""
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


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
            if not entry.name.startswith(".") and entry.is_dir():
                tree.system.add(entry.name)
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
