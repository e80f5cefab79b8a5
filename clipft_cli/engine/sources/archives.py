"""Zip and tar as a source, taken as untrusted: nothing is written outside, linked, or without a limit."""

from __future__ import annotations

import dataclasses
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...errors import ClipftError, DataError, Question
from ..files.pictures import is_picture
from ..files.visible import shown
from ..labels.folder_names import folder_name
from .archive_members import Again, Member, Unpacked, members_of
from .folders import list_folder
from .listing import Listing
from .losses import hidden_warning
from .problems import Problem
from .source import Source, SourceRequest
from .table_folder import holds_table, list_by_table
from .tree import ARCHIVE_SUFFIXES, hidden_folder, is_ignored

OnFiles = Callable[[int], None]
_MAX_DEPTH = 2
_CHUNK = 1 << 20
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


def suffix_of(path: Path) -> str:
    """The end of the name, of those of a zip or tar; empty where it has none of them."""
    return next((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), "")


def list_archive(path: Path, request: SourceRequest) -> Listing:
    """The images of an archive of class folders, of train/val/test folders, or of a table with images."""
    folder = request.work / "unpacked"

    def on_files(n: int) -> None:
        request.on_progress("unpacking", n, None)

    try:
        unpacked = unpack(path, folder, on_files, encoding=request.options.encoding, again=request.again)
        unpack_inner(unpacked, path, on_files, encoding=request.options.encoding, again=request.again)
        listing = _list_tree(folder, request)
    except ClipftError as error:
        raise _of_archive(error, folder, path) from None
    listing.name = _bare_name(path) or "images"
    listing.description = str(path)
    listing.problems = [
        dataclasses.replace(problem, detail=problem.detail.replace(str(folder), str(path)))
        for problem in unpacked.problems + listing.problems
    ]
    listing.ignored += unpacked.ignored
    if unpacked.hidden:
        listing.warnings.append(hidden_warning(unpacked.hidden))
    listing.notes = [text.replace(str(folder), str(path)) for text in unpacked.notes + listing.notes]
    listing.warnings = [text.replace(str(folder), str(path)) for text in unpacked.warnings + listing.warnings]
    return listing


def _of_archive(error: ClipftError, folder: Path, archive: Path) -> ClipftError:
    """The error with the archive's name for that of the folder it was unpacked to, which is gone when it is read."""
    if isinstance(error, Question):
        words = [dataclasses.replace(one, words=one.words.replace(str(folder), str(archive))) for one in error.answers]
        return Question(error.asks.replace(str(folder), str(archive)), words, error.commands)
    error.message = error.message.replace(str(folder), str(archive))
    error.hint = error.hint.replace(str(folder), str(archive)) if error.hint else None
    error.args = (error.message,)
    return error


def _list_tree(folder: Path, request: SourceRequest) -> Listing:
    """The table that lies there, where there are no class folders; else those."""
    if not request.options.paths and holds_table(folder):
        return list_by_table(folder, request, inside=folder)
    return list_folder(folder, request)


def unpack_inner(unpacked: Unpacked, archive: Path, on_files: OnFiles, *, encoding: str | None, again: Again) -> None:
    """Unpack the archives that came out of `archive`, each into a folder of its name, where all pictures lie in them.

    Two deep, as competitions give them out; all together may become no more than `archive` itself.
    Raises DataError as `unpack` does.
    """
    for _ in range(_MAX_DEPTH):
        files = [path for path in sorted(unpacked.folder.rglob("*")) if path.is_file()]
        inner = [path for path in files if suffix_of(path)]
        if not inner or any(is_picture(path) for path in files):
            break
        for path in inner:
            left = Limits().total_bytes(archive.stat().st_size) - unpacked.n_bytes
            folder = path.with_name(_bare_name(path) or "images")
            folder = folder if not folder.exists() else path.with_name(path.name + ".unpacked")
            limits = Limits(ratio=0, floor_bytes=max(left, 0))
            found = unpack(path, folder, on_files, limits, encoding=encoding, again=again)
            unpacked.n_files += found.n_files
            unpacked.n_bytes += found.n_bytes
            unpacked.ignored += found.ignored
            unpacked.hidden += found.hidden
            unpacked.problems += found.problems
            unpacked.notes += [f"{path.name} in {archive.name} was unpacked too", *found.notes]
            unpacked.warnings += found.warnings
            path.unlink()


def unpack(
    archive: Path,
    folder: Path,
    on_files: OnFiles = lambda n: None,
    limits: Limits = Limits(),
    *,
    encoding: str | None = None,
    again: Again = lambda *words: " ".join(words),
) -> Unpacked:
    """Write the regular files of a zip or tar below `folder`.

    Links, devices, absolute names and names that climb out are refused one by one and listed. `encoding`: of names
    that do not say theirs; None where it is to be found out. `again` makes the commands of hints.
    Raises DataError where the archive is damaged, encrypted, its names read in several ways, or it grows beyond
    `limits`.
    """
    result = Unpacked(folder)
    folder.mkdir(parents=True)
    try:
        allowed = limits.total_bytes(archive.stat().st_size)
        with members_of(archive, encoding, again, result) as members:
            for n, member in enumerate(members, start=1):
                if n > limits.files:
                    raise _bomb(archive, f"more than {limits.files:,} entries")
                _take(member, archive, result, limits, allowed)
                if n % 100 == 0:
                    on_files(n)
    except DataError:
        raise
    except NotImplementedError as error:  # Deflate64 of large zips made by Windows, say
        raise DataError(
            f"{archive}: cannot be unpacked here: {shown(str(error), 120)}",
            hint="unpack it with another program, then give clipft the folder",
        ) from None
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
        if folder := hidden_folder(parts):
            result.hidden[folder] += 1
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
    has_paths=True,
)
