"""Zip and tar as a source, taken as untrusted: nothing is written outside, linked, or without a limit."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from ...errors import DataError
from ..files.visible import shown
from ..labels.folder_names import folder_name
from .column_words import IMAGE, LABEL, is_called
from .folders import list_folder
from .listing import Listing
from .problems import Problem
from .source import Source, SourceRequest
from .tables import TABLE_SUFFIXES, list_table
from .tree import is_ignored

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_CHUNK = 1 << 20
_MAX_HEADER = 1 << 20
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
)


class _PlainInfo(tarfile.TarInfo):
    """A header of a tar; tarfile reads those of long names and attributes whole, however long they say they are."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> tarfile.TarInfo:  # type: ignore[override]
        info = super().frombuf(buf, encoding, errors)
        if info.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and info.size > _MAX_HEADER:
            raise tarfile.TarError(f"a header of {info.size:,} bytes, which no archive of images has")
        return info


@dataclass(frozen=True)
class Limits:
    """What one archive may become. Images hardly compress: far more than its own size is an attack."""

    files: int = 2_000_000
    file_bytes: int = 512 << 20
    ratio: int = 50
    floor_bytes: int = 256 << 20

    def total_bytes(self, archive_bytes: int) -> int:
        """Bytes an archive of this size may unpack to."""
        return max(self.floor_bytes, self.ratio * archive_bytes)


@dataclass
class Unpacked:
    """How an extraction went: files written, and members that were refused."""

    folder: Path
    n_files: int = 0
    n_bytes: int = 0
    ignored: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Member:
    """One entry of an archive: `open` gives its `size` bytes, as it says; `refusal` says why it is not taken."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]
    refusal: str = ""


def suffix_of(path: Path) -> str:
    """The end of the name, of those of a zip or tar; empty where it has none of them."""
    return next((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), "")


def list_archive(path: Path, request: SourceRequest) -> Listing:
    """The images of an archive of class folders, of train/val/test folders, or of a table with images."""
    unpacked = unpack(path, request.work / "unpacked", lambda n: request.on_progress("unpacking", n, None))
    listing = _list_tree(unpacked.folder, request)
    listing.name = _bare_name(path) or "images"
    listing.description = str(path)
    listing.problems = unpacked.problems + listing.problems
    listing.ignored += unpacked.ignored
    return listing


def _list_tree(folder: Path, request: SourceRequest) -> Listing:
    """Class folders where there are any; else the table that lies there."""
    tables = [
        p
        for p in sorted(folder.rglob("*"))
        if p.suffix.lower() in TABLE_SUFFIXES and len(p.relative_to(folder).parts) <= 2
    ]
    try:
        listing = list_folder(folder, request)
        if len(listing.labels()) > 1 or not tables:
            return listing
    except DataError:
        if not tables:
            raise
    table = next((p for p in tables if _names_images(p)), tables[0])
    return list_table(table, request, inside=folder)


def _names_images(table: Path) -> bool:
    if table.suffix.lower() not in (".csv", ".tsv"):
        return True
    with open(table, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline().replace(";", ",").replace("\t", ",").split(",")
    return any(is_called(cell, IMAGE) for cell in header) and any(is_called(cell, LABEL) for cell in header)


def unpack(
    archive: Path, folder: Path, on_files: Callable[[int], None] = lambda n: None, limits: Limits = Limits()
) -> Unpacked:
    """Write the regular files of a zip or tar below `folder`.

    Links, devices, absolute names and names that climb out are refused one by one and listed.
    Raises DataError where the archive is damaged, encrypted, or grows beyond `limits`.
    """
    result = Unpacked(folder)
    folder.mkdir(parents=True)
    try:
        allowed = limits.total_bytes(archive.stat().st_size)
        with _members(archive) as members:
            for n, member in enumerate(members, start=1):
                if n > limits.files:
                    raise _bomb(archive, f"more than {limits.files:,} entries")
                _take(member, archive, result, limits, allowed)
                if n % 100 == 0:
                    on_files(n)
    except DataError:
        raise
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(
            f"{archive}: cannot be unpacked: {shown(reason, 120)}", hint="fetch or make the archive again"
        ) from None
    return result


def _take(member: Member, archive: Path, result: Unpacked, limits: Limits, allowed: int) -> None:
    parts = PurePosixPath(member.name.replace("\\", "/")).parts
    if result.n_bytes + member.size > allowed:  # what is skipped in a tar is unpacked all the same
        raise _bomb(archive, f"more than {allowed >> 20} MiB unpacked")
    if any(is_ignored(part) and part != ".." for part in parts):
        result.ignored += 1
        result.n_bytes += member.size
        return
    refusal = member.refusal or _unsafe(member.name, parts)
    stream = None if refusal else member.open()
    if refusal or stream is None:
        result.problems.append(Problem(shown(member.name), refusal or "entry cannot be read", "in the archive"))
        return
    with stream:
        target = result.folder.joinpath(*parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = open(target, "xb")  # noqa: SIM115 - closed below
        except (OSError, ValueError) as error:
            twice = isinstance(error, FileExistsError)
            result.problems.append(
                Problem(shown(member.name), "name is there twice" if twice else "name cannot be used", "in the archive")
            )
            return
        with file:
            size = 0
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                result.n_bytes += len(chunk)
                if size > limits.file_bytes:
                    raise _bomb(archive, f"{shown(member.name)} is larger than {limits.file_bytes >> 20} MiB")
                if result.n_bytes > allowed:
                    raise _bomb(archive, f"more than {allowed >> 20} MiB unpacked")
                file.write(chunk)
    result.n_files += 1


def _unsafe(name: str, parts: tuple[str, ...]) -> str:
    if not parts or "\0" in name:
        return "name cannot be used"
    if name.startswith(("/", "\\")) or ":" in parts[0]:
        return "absolute name"
    return "name leads out of the archive" if ".." in parts else ""


def _bomb(archive: Path, what: str) -> DataError:
    return DataError(
        f"{archive}: refused: {what}; this is no archive of images",
        hint="unpack it yourself if you trust it, then give clipft the folder",
    )


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
        return
    try:
        opened_tar = tarfile.open(archive, "r:*", tarinfo=_PlainInfo)  # noqa: SIM115 - closed below
    except tarfile.ReadError:
        raise DataError(f"{archive}: is neither a zip nor a tar", hint="fetch or make the archive again") from None
    with opened_tar:
        yield _tar_members(opened_tar)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        refusal = "a link" if is_link else "encrypted" if info.flag_bits & 1 else ""
        yield Member(info.filename, info.file_size, lambda info=info: archive.open(info), refusal)  # type: ignore[misc]


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if info.isdir():
            continue
        refusal = "" if info.isreg() else "a link" if info.issym() or info.islnk() else "not a regular file"
        yield Member(info.name, info.size, lambda info=info: archive.extractfile(info), refusal)  # type: ignore[misc]


def _bare_name(path: Path) -> str:
    return path.name[: len(path.name) - len(suffix_of(path))]


def _evidence(text: str) -> str:
    path = Path(text)
    suffix = suffix_of(path)
    is_archive = suffix and path.exists() and not path.is_dir()
    return f"the name of {path.name} ends as that of an archive, with {suffix}" if is_archive else ""


ARCHIVE = Source(
    "archive",
    "zip, tar",
    _evidence,
    lambda request: list_archive(request.path, request),
    data_folder=lambda text: folder_name(_bare_name(Path(text))),
)
