"""A result file that grows as results come, and appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from ...errors import ResourceError
from .write import whole_file

_STREAMS = (("/", "dev"), ("/", "proc"))
_STREAM = re.compile(r"/dev/(?P<name>stdout|stderr)|/(dev|proc/self)/fd/(?P<number>\d{1,6})")
_NUMBERS = {"stdout": 1, "stderr": 2}


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
            target: Path | int | None = _own_stream(path)
            if target is None and _is_written_in_place(path):
                target = path
            if target is None:
                resolved = path.resolve()
                resolved.parent.mkdir(parents=True, exist_ok=True)
                target = stack.enter_context(whole_file(resolved))
            file = stack.enter_context(_text_file(target))

        def write(text: str) -> None:
            with _saying_why(path):
                file.write(text)
                if isinstance(target, int):
                    file.flush()  # what is printed beside it keeps its order

        yield write
        with _saying_why(path):
            file.flush()


@contextlib.contextmanager
def _text_file(target: Path | int) -> Iterator[TextIO]:
    file = open(  # noqa: SIM115
        target, "w", encoding="utf-8", errors="backslashreplace", newline="\n", opener=_open_without_waiting
    )
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):  # what could not be written was told when it was
            file.close()


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody reads is an error (ENXIO), instead of waited for."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return descriptor


def _own_stream(path: Path) -> int | None:
    """A second descriptor of the stream of this process that `path` names; None where it names none.

    To open the name itself would empty the file that a shell appends to (`>> log`).
    """
    found = _STREAM.fullmatch(str(path))
    if found is None:
        return None
    return os.dup(_NUMBERS.get(found["name"]) or int(found["number"]))


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
    except BrokenPipeError:
        raise  # the reader has left
    except (FileExistsError, NotADirectoryError):
        raise ResourceError(f"{path}: a part of this path is a file, not a folder") from None
    except OSError as error:
        why = "a pipe or device that nothing reads" if error.errno == errno.ENXIO else error.strerror
        raise ResourceError(f"{path}: cannot be written: {why}", hint="choose another --output") from None
