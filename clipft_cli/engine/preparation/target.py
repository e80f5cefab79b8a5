"""Where a data set goes, and what may be there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...config.commands import PrepareOptions
from ...errors import ConfigError, DataError
from ..files.visible import quoted
from ..labels.class_names import CLASSES_FILE
from ..manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Manifest, is_made_by_clipft, read_manifest
from ..sources import source_of
from ..sources.listing import Listing
from ..sources.problems import PROBLEMS_FILE
from ..sources.source import Source
from .changes import find_changes
from .layout import move_aside

DATA_FOLDER = Path("data")


@dataclass(frozen=True)
class Target:
    """`root` gets dataset.json. `stays`: images are left where they are.

    `previous` is the data set that is prepared again; `source` is what is read (None: drawn), `kind` reads it,
    `evidence` says in words why that kind.
    """

    root: Path
    source: str | None
    kind: Source
    evidence: str
    stays: bool = False
    is_again: bool = False
    previous: Manifest | None = None
    note: str = ""

    @property
    def paths_are_relative(self) -> bool:
        """Whether the images lie under the root."""
        return self.kind.is_folder and self.source is not None and _same(Path(self.source), self.root)

    @property
    def paths(self) -> str | None:
        """The layout that is known already: that of a data folder prepared again; None where it is to be found out."""
        if not (self.is_again and self.paths_are_relative) or (self.previous and self.previous.origin.in_place):
            return None
        return "{split}/{class}" if any((self.root / split).is_dir() for split in SPLITS) else None


def choose_target(options: PrepareOptions) -> Target:
    """What is read and where the data set of these options goes.

    Raises ConfigError for what does not fit together, DataError where SOURCE is nothing that can be read.
    """
    source = options.source
    kind, evidence = source_of(source)
    if kind.is_folder and source is not None:
        folder = Path(source)
        if is_made_by_clipft(folder) and (options.output_dir is None or _same(options.output_dir, folder)):
            return _again(folder)
        if options.in_place:
            return Target(options.output_dir or folder, source, kind, evidence, stays=True)
        if options.output_dir is not None and _same(options.output_dir, folder):
            return Target(folder, source, kind, evidence, stays=True)
    if options.in_place and not kind.images_may_stay:
        raise ConfigError(
            "--in-place needs a folder or a table of your own images",
            hint="leave --in-place out: the images are copied into the data folder",
        )
    root = options.output_dir or DATA_FOLDER / kind.data_folder(source or "")
    if kind.is_folder and source is not None and root.resolve().is_relative_to(Path(source).resolve()):
        raise ConfigError(
            f"{root}: lies inside the source {source}, and would be read as images next time",
            hint="choose an --output-dir elsewhere, or `--in-place` to copy nothing",
        )
    return Target(root, source, kind, evidence, stays=options.in_place)


def _again(folder: Path) -> Target:
    """A data set prepared again where it lies; one whose manifest is damaged is listed afresh."""
    note = ""
    try:
        previous = read_manifest(folder, with_edited_names=False)
    except DataError as error:
        previous = None
        if (folder / DATASET_FILE).exists():
            note = f"the earlier manifest cannot be used ({error.message}): splits are those of the folders, or new"
    source = str(folder)
    if previous is not None and previous.origin.in_place and _lies_elsewhere(previous):
        source = previous.origin.source
        if not Path(source).exists():
            raise DataError(
                f"{folder}: its images lie in {source}, which is not there",
                hint="bring the folder back, or prepare its new place with --in-place",
            )
    kind, evidence = source_of(source)
    return Target(folder, source, kind, evidence, stays=True, is_again=True, previous=previous, note=note)


def _lies_elsewhere(manifest: Manifest) -> bool:
    return any(Path(row.path).is_absolute() for row in manifest.rows)


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()


def check_target(target: Target) -> None:
    """Raises DataError where a file is in the way, or files that clipft did not write would be overwritten."""
    root = target.root
    if (root.exists() or root.is_symlink()) and not root.is_dir():
        raise DataError(f"{root}: a file stands where the data folder should be", hint="choose another --output-dir")
    if target.stays and not is_made_by_clipft(root):
        for name in (DATASET_FILE, MANIFEST_FILE, CLASSES_FILE, PROBLEMS_FILE):
            if (root / name).exists():
                raise DataError(
                    f"{root / name}: is there already and not from clipft; it is not overwritten",
                    hint="rename it, or write the manifest elsewhere with --output-dir",
                )


def check_stays(target: Target, listing: Listing, work: Path) -> None:
    """Raises ConfigError where images are to stay that were only unpacked into `work`."""
    if target.stays and any(item.file.is_relative_to(work) for item in listing.items):
        raise ConfigError(
            f"{target.source}: holds the images itself, so there is no place for them to stay in",
            hint="leave --in-place out: they are copied into the data folder",
        )


def make_room(target: Target, request: str, is_forced: bool) -> tuple[Manifest | None, str]:
    """Deal with what is at the target: (data set, "") where the very same is there, else (None, a note).

    Raises DataError where something else is there; with `is_forced` a data set of clipft's is renamed.
    """
    root = target.root
    if target.is_again or not root.exists() or not any(root.iterdir()):
        return None, ""
    if target.stays and not is_made_by_clipft(root):
        return None, ""
    if not is_made_by_clipft(root):
        raise DataError(f"{root}: holds files that are not from clipft", hint="choose another --output-dir")
    if is_forced:
        if target.paths_are_relative or target.stays:
            return None, ""
        return None, f"{root} was renamed to {move_aside(root)}"
    try:
        existing = read_manifest(root)
    except DataError as error:
        raise DataError(
            f"{root}: holds something that is no whole data set ({error.message})",
            hint="`--force` renames it and prepares anew; or choose another --output-dir",
        ) from None
    changes = find_changes(existing)
    if existing.origin.request == request and not changes:
        return existing, ""
    if existing.origin.request == request:
        raise DataError(
            changes.describe(), hint=f"`clipft prepare {quoted(root)}`; or `--force` renames it and prepares anew"
        )
    raise DataError(
        f"{root}: holds another data set (source {existing.origin.source}, seed {existing.origin.seed}),"
        " or its source has changed",
        hint="choose another --output-dir; or `--force` renames it and prepares anew",
    )
