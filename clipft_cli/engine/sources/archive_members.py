"""The entries of a zip or tar, one by one, with what speaks against taking them."""

from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ...errors import DataError
from ..files.regular import MAX_WEIGHTS_BYTES, open_regular
from ..files.visible import shown
from ..labels.folder_names import storable
from ..tables.encodings import readings
from .problems import Problem
from .zip_names import zip_names

Again = Callable[..., str]
_MAX_HEADER = 1 << 20
_CHUNK = 1 << 20


class _PlainInfo(tarfile.TarInfo):
    """A header of a tar; tarfile reads those of long names and attributes whole, however long they say they are, and
    takes one that is damaged for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:  # type: ignore[override]
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            if archive.offset == 0:
                raise
            raise tarfile.TarError(f"a header is damaged, after {archive.offset:,} bytes: {error}") from None

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> tarfile.TarInfo:  # type: ignore[override]
        info = super().frombuf(buf, encoding, errors)
        if info.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and info.size > _MAX_HEADER:
            raise tarfile.TarError(f"a header of {info.size:,} bytes, which no archive of images has")
        return info


@dataclass
class Unpacked:
    """How an extraction went: files written, and members that were refused."""

    folder: Path
    n_files: int = 0
    n_bytes: int = 0
    ignored: int = 0
    hidden: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Member:
    """One entry of an archive: `open` gives its `size` bytes, as it says; `refusal` says why it is not taken."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]
    refusal: str = ""


@contextmanager
def members_of(archive: Path, encoding: str | None, again: Again, result: Unpacked) -> Iterator[Iterator[Member]]:
    if holds_nothing(archive):
        raise DataError(f"{archive}: holds nothing", hint="fetch or make the archive again")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            _refuse_locked(archive, opened)
            names, note = zip_names(archive, opened, encoding, again)
            result.notes += [note] if note else []
            yield _zip_members(opened, names)
        return
    try:
        opened_tar = tarfile.open(archive, "r:*", tarinfo=_PlainInfo, encoding=encoding or "utf-8")  # noqa: SIM115
    except tarfile.ReadError:
        raise DataError(f"{archive}: is neither a zip nor a tar", hint="fetch or make the archive again") from None
    with opened_tar:
        yield _tar_members(opened_tar, result)
        _read_to_the_end(opened_tar, result)


def holds_nothing(archive: Path) -> bool:
    """Whether a file begins with zeros, as a download that was cut off may leave it: the readers of compressed tars
    would look through all of it for a beginning.
    """
    with open_regular(archive, MAX_WEIGHTS_BYTES) as file:
        return not any(file.read(_CHUNK))


def _read_to_the_end(archive: tarfile.TarFile, result: Unpacked) -> None:
    """Read what follows the last entry, so that the checksum of a compressed tar is compared; a second tar is told.

    Raises what the file's compression raises where it is damaged.
    """
    n_others = 0
    while chunk := archive.fileobj.read(_CHUNK):  # type: ignore[union-attr]
        n_others += len(chunk) - chunk.count(0)
        if n_others:
            result.warnings.append(
                "something follows the end of the tar, and is not read: another tar, or what was damaged;"
                " `tar --ignore-zeros -xf` unpacks all of them"
            )
            return


def _refuse_locked(archive: Path, opened: zipfile.ZipFile) -> None:
    files = [info for info in opened.infolist() if not info.filename.endswith("/")]
    locked = [info for info in files if info.flag_bits & 1]
    if locked:
        raise DataError(
            f"{archive}: is encrypted: {len(locked):,} of its {len(files):,} files need a password",
            hint="unpack it with its password, then give clipft the folder",
        )


def _zip_members(archive: zipfile.ZipFile, names: Sequence[str]) -> Iterator[Member]:
    for info, name in zip(archive.infolist(), names, strict=True):
        if info.filename.endswith("/"):
            continue
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        refusal = "a link" if is_link else ""
        yield Member(name, info.file_size, lambda info=info: archive.open(info), refusal)  # type: ignore[misc]


def _tar_members(archive: tarfile.TarFile, result: Unpacked) -> Iterator[Member]:
    has_warned = False
    for info in archive:
        if info.isdir():
            continue
        if not has_warned and storable(info.name) != info.name:
            has_warned = True
            ways = readings(info.name.encode("utf-8", "surrogateescape"), of_names=True)
            named = ", ".join(f"--encoding {way.encoding} ({shown(way.text, 60)})" for way in ways)
            result.warnings.append(
                "names in the tar are not UTF-8, so bytes stand in class names"
                + (f"; they may be {named}" if ways else "")
            )
        refusal = "" if info.isreg() else "a link" if info.issym() or info.islnk() else "not a regular file"
        yield Member(info.name, info.size, lambda info=info: archive.extractfile(info), refusal)  # type: ignore[misc]
