"""A result file that grows as results come, and appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from ...errors import ResourceError


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Callable[[str], object]]:
    """A function that adds text to what becomes `path` at the end; on an error `path` stays as it was.

    A device such as /dev/null is written to directly. Raises ResourceError where `path` cannot be written.
    """
    target = path.resolve()
    if target.is_dir():
        raise ResourceError(f"{path}: is a folder, a file name is needed")
    is_plain = target.is_file() or not target.exists()
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp") if is_plain else target
    try:
        with _opened(path, target, temporary) as file:
            yield file.write
            file.flush()
            if is_plain:
                os.fsync(file.fileno())
        if is_plain:
            os.replace(temporary, target)
    finally:
        if is_plain:
            with contextlib.suppress(OSError):  # what kept it from being made keeps it from being removed
                temporary.unlink()


def _opened(path: Path, target: Path, temporary: Path) -> TextIO:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n")
    except (FileExistsError, NotADirectoryError):
        raise ResourceError(f"{path}: a part of this path is a file, not a folder") from None
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror}", hint="choose another --output") from None
