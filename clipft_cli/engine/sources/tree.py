"""The files under a folder: all that may be images, and none that are the business of the system."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import NO_PERMISSION, DataError, NoPermission, how_to_open
from ..files.pictures import image_suffixes
from .problems import DEAD_LINK, NO_FOLDER, READ_ALREADY, Problem

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
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

_PROGRAM_FOLDERS = frozenset(
    [
        *(".git", ".svn", ".hg", ".dvc", ".cache", ".idea", ".vscode", ".ipynb_checkpoints", ".thumbnails", ".thumbs"),
        *(".trash", ".trashes", ".spotlight-v100", ".fseventsd", ".appledouble", ".picasaoriginals", ".xvpics"),
        *(".documentrevisions-v100", ".temporaryitems", ".comments", ".@__thumb", ".snapshot", ".snapshots", ".venv"),
    ]
)
"""Hidden folders that programs make, in small letters."""


@dataclass
class Tree:
    """Files under a folder as paths relative to it. Hidden ones are only counted; `system` names folders among them,
    `hidden` those of a person's with images directly inside, with how many."""

    root: Path
    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: int = 0
    system: set[str] = field(default_factory=set)
    hidden: Counter[str] = field(default_factory=Counter)


def is_ignored(name: str) -> bool:
    """Whether a file or folder is the business of the operating system, not of a data set."""
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


def hidden_folder(parts: Sequence[str]) -> str | None:
    """The hidden folder on the way to an image, of the folders and the name of one; None where nobody would miss it.

    `.net/1.jpg` may be of a class; thumbnails and what programs keep are not.
    """
    for n, part in enumerate(parts[:-1], start=1):
        if is_ignored(part):
            is_own = part.startswith(".") and part.casefold() not in _PROGRAM_FOLDERS
            return "/".join(parts[:n]) if is_own and Path(parts[-1]).suffix.lower() in image_suffixes() else None
    return None


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
    except PermissionError:
        raise NoPermission(root) from None
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror or error}") from None
    return tree


def _pass_over(entry: os.DirEntry[str], here: Path, tree: Tree) -> None:
    """Count what is hidden or the system's."""
    tree.ignored += 1
    if not entry.is_dir():
        return
    if not entry.name.startswith("."):
        tree.system.add(entry.name)
        return
    with contextlib.suppress(OSError):
        names = os.listdir(entry.path)
        n = sum(hidden_folder((*here.parts, name)) is not None for name in names if not name.startswith("."))
        tree.hidden += Counter({here.as_posix(): n})


def _walk(folder: Path, relative: Path, tree: Tree, seen: set[tuple[int, int]]) -> None:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        here = relative / entry.name
        if is_ignored(entry.name):
            _pass_over(entry, here, tree)
            continue
        try:
            if not entry.is_dir():
                if entry.is_symlink() and not os.path.exists(entry.path):
                    tree.problems.append(Problem(str(here), DEAD_LINK, os.readlink(entry.path)))
                else:
                    tree.files.append(here)
                continue
            status = entry.stat()
        except OSError as error:  # a link to itself, say: the others are read all the same
            tree.problems.append(_problem(tree.root, here, "cannot be read", error))
            continue
        if (status.st_dev, status.st_ino) in seen:
            tree.problems.append(Problem(str(here), READ_ALREADY))
            continue
        seen.add((status.st_dev, status.st_ino))
        tree.folders.append(here)
        try:
            _walk(folder / entry.name, here, tree, seen)
        except OSError as error:
            tree.folders.remove(here)  # what is in it is not known: it is no empty one
            tree.problems.append(_problem(tree.root, here, NO_FOLDER, error))


def _problem(root: Path, here: Path, reason: str, error: OSError) -> Problem:
    if isinstance(error, PermissionError):
        return Problem(str(here), NO_PERMISSION, how_to_open(root / here))
    return Problem(str(here), reason, error.strerror or "")
