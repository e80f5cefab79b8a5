"""What published data sets share: an archive that is downloaded once, or given as a local copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import DataError
from .archives import Unpacked, unpack
from .downloads import Remote, download
from .source import SourceRequest


def called(name: str) -> Callable[[str], str]:
    """The evidence of a data set known by its name; a file or folder of that name comes first."""

    def evidence(text: str) -> str:
        return f"{name} is the name of a published data set" if text == name and not Path(text).exists() else ""

    return evidence


def given_archive(request: SourceRequest) -> Path | None:
    """The local copy that --archive names. Raises DataError where it is no file."""
    archive = request.options.archive
    if archive is not None and not archive.is_file():
        what = "is a folder, the archive file itself is needed" if archive.is_dir() else "no such file"
        raise DataError(f"--archive {archive}: {what}")
    return archive


def fetch(remote: Remote, request: SourceRequest) -> Path:
    """The archive in the downloads folder, downloaded where it is not there yet. Raises DownloadError."""

    stage = f"downloading {remote.file_name}"
    return download(remote, request.downloads, lambda done, total: request.on_progress(stage, done, total))


def unpack_to(folder: Path, archive: Path, request: SourceRequest) -> Unpacked:
    """The archive, unpacked below the new `folder`. Raises DataError where it is damaged."""
    return unpack(archive, folder, lambda n: request.on_progress(f"unpacking {archive.name}", n, None))


def origin_note(remote: Remote, given: Path | None) -> str:
    """The sentence about where the images came from."""
    return f"taken from {given}, nothing was downloaded" if given else remote.checksum_note
