"""A folder for something new: nothing that lies there is written over, and it is whole from the moment it is seen."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import ResourceError
from ..files.places import PLACES_FILE
from ..files.visible import quoted
from ..files.write import half_written, write_text
from ..run_dir import OUTPUTS, RunDir


def new_run_dir(
    wish: Path | None,
    name: str,
    config: str,
    beside: Callable[[RunDir], Mapping[Path, str]] = lambda run: {},
) -> tuple[RunDir, bool]:
    """A fresh directory, made: the wish, or outputs/NAME, with the next free number where that is taken.

    It appears with its config.yaml in it, and with the files that `beside` gives for it: whenever a process is killed,
    what it leaves can be resumed, and is held against what it began with, or it has not begun.
    Returns the directory, and whether it had to be numbered. Raises ResourceError where a wish is taken: whoever
    reads that name later would take an older run for this one.
    """
    for number in itertools.count(1):
        path = wish or (OUTPUTS / (f"{name}-{number}" if number > 1 else name))
        try:
            refuse_taken(path)
            _make_parents(path)
            _make_with(path, {**beside(RunDir(path)), RunDir(path).config: config})
        except FileExistsError:
            if wish is not None:
                raise _taken(path) from None
        except Taken:
            if wish is not None:
                raise
        except NotADirectoryError:
            raise ResourceError(f"{path}: a part of this path is a file, not a folder") from None
        except OSError as error:
            raise ResourceError(
                f"{path}: cannot be made: {error.strerror}", hint="choose another --output-dir"
            ) from None
        else:
            break
    return RunDir(path), number > 1


def free_beside(path: Path) -> Path:
    """`path` with the lowest number from 2 that is free."""
    return next(other for n in itertools.count(2) if _is_free(other := path.with_name(f"{path.name}-{n}")))


def free_folder(wish: Path | None, name: str) -> Path:
    """The wish, or outputs/NAME, with the next free number where something lies there.

    Raises ResourceError where a wish is taken.
    """
    if wish is not None:
        refuse_taken(wish)
        return wish
    path, number = OUTPUTS / name, 1
    while path.is_dir() and any(path.iterdir()):
        number += 1
        path = OUTPUTS / f"{name}-{number}"
    return path


class Taken(ResourceError):
    """A folder that something new was to go to holds something already."""


def refuse_taken(path: Path) -> None:
    """Raises Taken where something lies in the folder `path`, ResourceError where it is a file."""
    if not _is_free(path):
        raise _taken(path)


def _taken(path: Path) -> ResourceError:
    if not path.is_dir():
        return ResourceError(f"{path}: is a file, a folder is needed", hint="choose another --output-dir")
    run = RunDir(path)
    ways = [f"remove it (`rm -r {quoted(path)}`)", "choose another --output-dir"]
    if run.config.is_file() and not run.is_finished:
        ways.insert(0, f"go on with it (`clipft train --resume {quoted(path)}`)")
    return Taken(f"{path}: is taken, and is never overwritten", hint=", or ".join([", ".join(ways[:-1]), ways[-1]]))


def _make_parents(path: Path) -> None:
    """The folders above `path`. Raises NotADirectoryError where one of them is a file: mkdir says that it exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(*error.args) from None


def _is_free(path: Path) -> bool:
    """Whether nothing is there, or what a run leaves that ends before its first update."""
    if not path.is_dir():
        return not os.path.lexists(path)
    run = RunDir(path)
    own = {file.name for file in (run.lock, run.problems, run.inputs, run.trained_on)} | {PLACES_FILE}
    begun = {*own, run.config.name}  # which is written last: without it no run has begun
    return all(child.name in own or half_written(child.name) in begun for child in path.iterdir())


def _make_with(path: Path, files: Mapping[Path, str]) -> None:
    """The folder with these files, at once. Raises OSError, FileExistsError where it is there and not empty.

    The last of `files` is what makes a run of it.
    """
    if not _is_free(path):
        raise FileExistsError  # by another process, since it was looked at
    if path.is_symlink() or os.path.ismount(path) or (path.is_dir() and any(path.iterdir())):
        for file, text in files.items():  # such a folder's place no other can take
            write_text(file, text)
        return
    begun = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        begun.mkdir()
        for file, text in files.items():
            write_text(begun / file.name, text)
        os.rename(begun, path)
    except OSError as error:
        raise (FileExistsError if error.errno in (errno.ENOTEMPTY, errno.EEXIST) else error) from None
    finally:
        shutil.rmtree(begun, ignore_errors=True)
