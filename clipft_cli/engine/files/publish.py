"""Putting an evaluation's files where they belong, whole: never half of one, never two mixed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import ResourceError
from .write import sync_folder, write_bytes


@contextlib.contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside what `target` will hold, so that a place that cannot be written to is found early.

    Removed at the end. Raises ResourceError where `target` is a file or cannot be made.
    """
    target = target.resolve()
    staging = target / f".evaluation.{os.getpid()}.tmp"
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        try:
            staging.mkdir(parents=True)
        except (FileExistsError, NotADirectoryError):
            raise ResourceError(f"{target}: a part of this path is a file, not a folder") from None
        except OSError as error:
            raise ResourceError(
                f"{target}: cannot be written to: {error.strerror}", hint="choose another --output-dir"
            ) from None
        yield staging
    finally:  # around the making too: a signal may come right after it
        shutil.rmtree(staging, ignore_errors=True)
        for folder in made:  # nothing came of it: leave no empty folders behind
            with contextlib.suppress(OSError):
                folder.rmdir()


def publish(staging: Path, files: Mapping[str, bytes], last: str) -> None:
    """Write `files` under their names into the folder that holds `staging`; other files there stay.

    All are written and synced first. Then the old `last` goes, the others are renamed into place, `last` comes
    at the end: a folder with `last` in it holds one whole evaluation. Raises OSError.
    """
    target = staging.parent
    for name, content in files.items():
        write_bytes(staging / name, content)
    (target / last).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == last):
        os.replace(staging / name, target / name)
    sync_folder(target)
