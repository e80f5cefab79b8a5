"""Writing files and folders so that nobody ever reads half of one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

_HALF_WRITTEN = re.compile(r"\.(?P<name>.+?)\.\d+(-[0-9a-f]{8})?\.tmp")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """An empty file to fill, which becomes `path` at the end, synced; on an error `path` stays as it was.

    It has the mode that the umask gives a new file. Raises OSError.
    """
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb"):
            pass  # never over a file or through a link that is there
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    finally:  # around the making too: a signal may come right after it
        with contextlib.suppress(OSError):
            temporary.unlink()
    sync_folder(path.parent)


def half_written(name: str) -> str | None:
    """The file that a temporary file called `name` was to become; None where it is none of `whole_file`."""
    found = _HALF_WRITTEN.fullmatch(name)
    return found["name"] if found else None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8: a reader sees the old file or the new. Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file: a reader sees the old one or the new. Raises OSError."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` at the end, whole; on an error it is removed, and so are the folders
    above it that had to be made.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.rglob("*"):
            sync_folder(path) if path.is_dir() else _sync(path)
        sync_folder(temporary)
        if target.exists():
            old = target.with_name(f".{target.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            os.rename(target, old)
            os.rename(temporary, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(temporary, target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:  # nothing came of it: leave no empty folders behind
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync(file: Path) -> None:
    with file.open("r+b") as handle:
        os.fsync(handle.fileno())
