"""What happened to a data set since it was prepared: images added, removed or replaced by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import NoPermission
from ..files.digest import file_digest
from ..files.stalls import reading
from ..files.visible import quoted, shown
from ..labels.folder_names import storable
from ..manifest import MANIFEST_FILE, SPLITS, Manifest
from ..sources.folders import OWN_FILES
from ..sources.tree import is_image_like, walk


@dataclass(frozen=True)
class Changes:
    """Paths relative to the data folder (absolute where the images lie elsewhere), sorted."""

    root: Path
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def describe(self) -> str:
        """One sentence: how many files of each kind, a few of them, and the command that takes them in."""
        if not self:
            return f"{self.root}: unchanged since it was prepared"
        parts = [
            f"{len(paths)} {word} ({_examples(paths)})"
            for word, paths in (("added", self.added), ("removed", self.removed), ("changed", self.changed))
            if paths
        ]
        return (
            f"{self.root}: since it was prepared, {', '.join(parts)};"
            f" `clipft prepare {quoted(self.root)}` takes this in and keeps the splits"
        )


def _examples(paths: list[str], n: int = 3) -> str:
    return ", ".join(shown(path, 80) for path in paths[:n]) + (", ..." if len(paths) > n else "")


def find_changes(manifest: Manifest) -> Changes:
    """What differs between a manifest and the files now.

    Fast: a listing and the sizes; only a file newer than the manifest is read again. Raises NoPermission for one that
    may not be looked at.
    """
    written = _written_at(manifest.root)
    removed, changed = [], []
    for row in manifest.rows:
        try:
            status = manifest.file(row).stat()
        except PermissionError:
            raise NoPermission(manifest.file(row)) from None
        except (OSError, ValueError):
            removed.append(row.path)
            continue
        is_newer = max(status.st_mtime_ns, status.st_ctime_ns) >= written
        if status.st_size != row.bytes or (is_newer and _sha256(manifest.file(row)) != row.sha256):
            changed.append(row.path)
    return Changes(manifest.root, sorted(_added(manifest)), sorted(removed), sorted(changed))


def _written_at(root: Path) -> int:
    try:
        return (root / MANIFEST_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def _sha256(path: Path) -> str:
    try:
        with reading(str(path)):
            return file_digest(path)
    except OSError:
        return ""


def _added(manifest: Manifest) -> Iterator[str]:
    """Files that may be images and that prepare has not seen, or has left out and that have changed since."""
    known = {row.path for row in manifest.rows}
    left_out = manifest.origin.left_out
    for root, prefix in _watched(manifest):
        if not root.is_dir():
            continue
        for path in walk(root).files:
            name = prefix + path.as_posix()
            if name in known or (len(path.parts) == 1 and path.name in OWN_FILES) or not is_image_like(path):
                continue
            if left_out.get(storable(name), -1) != (root / path).stat().st_size:
                yield name


def _watched(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """Folders in which new images would count, and what their paths in the manifest start with."""
    if not manifest.origin.in_place or any((manifest.root / split).is_dir() for split in SPLITS):
        yield manifest.root, ""
        return
    if any(not Path(row.path).is_absolute() for row in manifest.rows):
        yield manifest.root, ""
    source = Path(manifest.origin.source)
    if manifest.origin.source and source.is_dir() and source.resolve() != manifest.root.resolve():
        yield source, source.resolve().as_posix() + "/"
