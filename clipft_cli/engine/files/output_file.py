"""A result file that grows as results come, and appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import ResourceError
from .write import whole_file

_STREAMS = (("/", "dev"), ("/", "proc"))


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Callable[[str], object]]:
    """A function that adds text to what becomes `path` at the end; on an error `path` stays as it was.

    What is no regular file (a device, a pipe, /dev/stdout whatever it is) is written in place.
    Raises ResourceError where `path` cannot be written.
    """
    if path.is_dir():
        raise ResourceError(f"{path}: is a folder, a file name is needed")
    with contextlib.ExitStack() as stack:
        with _saying_why(path):
            if _is_written_in_place(path):
                target = path
            else:
                resolved = path.resolve()
                resolved.parent.mkdir(parents=True, exist_ok=True)
                target = stack.enter_context(whole_file(resolved))
            file = stack.enter_context(open(target, "w", encoding="utf-8", errors="backslashreplace", newline="\n"))
        yield file.write


def _is_written_in_place(path: Path) -> bool:
    if path.absolute().parts[:2] in _STREAMS:
        return True
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def _saying_why(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise ResourceError(f"{path}: a part of this path is a file, not a folder") from None
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror}", hint="choose another --output") from None
