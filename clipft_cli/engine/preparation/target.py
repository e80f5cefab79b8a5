"""Where a data set goes, and what may be there already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...config.prepare import PrepareConfig, PrepareOptions
from ...errors import ConfigError, DataError
from ..files.visible import quoted
from ..labels.class_names import CLASSES_FILE
from ..manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Manifest, is_made_by_clipft, read_manifest
from ..sources import source_of
from ..sources.folders import READING_PAGE
from ..sources.listing import Listing
from ..sources.problems import PROBLEMS_FILE
from ..sources.same_again import same_again
from ..sources.source import Source
from .changes import find_changes
from .differences import differences
from .earlier import Earlier, earlier_of
from .layout import name_aside
from .request import asked_options

Wish = Literal["refuse", "replace", "update"]
"""What is to become of a data set that is there and differs."""

DATA_FOLDER = Path("data")


@dataclass(frozen=True)
class Target:
    """`root` gets dataset.json. `stays`: images are left where they are.

    `previous` is the data set that is prepared again; `source` is what is read (None: drawn), `kind` reads it,
    `evidence` says in words why that kind; `earlier` is what a data set that is replaced or updated says of its images;
    one that is replaced is renamed to `aside` once the new one is whole.
    """

    root: Path
    source: str | None
    kind: Source
    evidence: str
    stays: bool = False
    is_again: bool = False
    previous: Manifest | None = None
    note: str = ""
    earlier: Earlier | None = None
    aside: Path | None = None

    @property
    def paths_are_relative(self) -> bool:
        """Whether the images lie under the root."""
        return self.kind.is_folder and self.source is not None and _same(Path(self.source), self.root)

    @property
    def paths(self) -> str | None:
        """The layout that is known already, of what is prepared again; None where it is to be found out."""
        if not self.is_again or not self.kind.has_paths:
            return None
        if self.previous is not None and self.previous.origin.in_place:
            return dict(self.previous.origin.reading.get("settings", {})).get("paths")
        return "{split}/{class}" if any((self.root / split).is_dir() for split in SPLITS) else None


def choose_target(options: PrepareOptions) -> Target:
    """What is read and where the data set of these options goes.

    Raises ConfigError for what does not fit together, DataError where SOURCE is nothing that can be read.
    """
    source = options.source
    kind, evidence = source_of(source, options.paths)
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
        for name in (DATASET_FILE, MANIFEST_FILE, CLASSES_FILE, PROBLEMS_FILE, READING_PAGE):
            if (root / name).exists():
                raise DataError(
                    f"{root / name}: is there already and not from clipft; it is not overwritten",
                    hint="rename it, or write the manifest elsewhere with --output-dir",
                )


def check_stays(target: Target, listing: Listing, work: Path) -> None:
    """Raises ConfigError where images are to stay that were only unpacked into `work`."""
    inside = str(work) + os.sep
    if target.stays and any(str(item.file).startswith(inside) for item in listing.items):
        raise ConfigError(
            f"{target.source}: holds the images itself, so there is no place for them to stay in",
            hint="leave --in-place out: they are copied into the data folder",
        )


@dataclass(frozen=True)
class Room:
    """What is at the target. `existing`: the very same data set; `earlier`: what one that is replaced or updated says
    of the same images; `aside`: the name that one of them gets; `note`: more about it."""

    existing: Manifest | None = None
    earlier: Earlier | None = None
    aside: Path | None = None
    note: str = ""


def make_room(target: Target, asked: str, config: PrepareConfig, listing: Listing | None, wish: Wish) -> Room:
    """Deal with what is at the target.

    `asked` is the fingerprint of the request, `listing` the images where they were read for it. Raises DataError where
    something else is there, which says what differs; with `replace` one of clipft's will be renamed, with
    `update` it stays for what is new.
    """
    root = target.root
    if target.is_again or not root.exists() or not any(root.iterdir()):
        return Room()
    if not is_made_by_clipft(root):
        if target.stays:
            return Room()
        raise DataError(f"{root}: holds files that are not from clipft", hint="choose another --output-dir")
    try:
        existing = read_manifest(root)
    except DataError as error:
        return _damaged(target, error, wish)
    changes = find_changes(existing)
    if existing.origin.request == asked and not changes and wish != "replace":
        return Room(existing)
    if wish == "replace":
        keeps = existing.origin.seed == config.seed and existing.origin.options in (None, asked_options(config))
        keeps = keeps and tuple(existing.origin.split) == tuple(config.prepare.split)
        return Room(earlier=earlier_of(existing, keeps_splits=keeps), aside=_aside(target))
    if wish == "update":
        if changes and not target.stays:
            raise DataError(changes.describe(), hint=f"first run `clipft prepare {quoted(root)}`, then --update again")
        return Room(earlier=earlier_of(existing, keeps_splits=True))
    if existing.origin.request == asked:
        raise DataError(
            changes.describe(), hint=f"`clipft prepare {quoted(root)}`; or `--force` renames it and prepares anew"
        )
    raise _holds_another(target, existing, config, listing)


def _holds_another(target: Target, existing: Manifest, config: PrepareConfig, listing: Listing | None) -> DataError:
    """What differs, and the ways out: the one that keeps most first, where the images are the same source's."""
    source = target.kind.origin(target.source or "")
    found = differences(existing, config, source, listing) or ["files of its source have changed"]
    anew = f"`{same_again(config, '--force')}` renames it and prepares anew"
    update = f"`{same_again(config, '--update')}` takes this in: images keep their split, edited names stay"
    ways = [update, anew] if existing.origin.source == source else [anew]
    return DataError(
        f"{target.root}: holds another data set: {'; '.join(found)}",
        hint="; ".join([*ways, "or choose another --output-dir"]),
    )


def _damaged(target: Target, error: DataError, wish: Wish) -> Room:
    if wish != "replace":
        raise DataError(
            f"{target.root}: holds something that is no whole data set ({error.message})",
            hint="`--force` renames it and prepares anew; or choose another --output-dir",
        )
    lost = f"names edited in its {CLASSES_FILE} are not taken over, since it is damaged ({error.message})"
    return Room(aside=_aside(target), note=lost)


def _aside(target: Target) -> Path | None:
    """The name for what is at the target, but where the images stay."""
    if target.paths_are_relative or target.stays:
        return None
    return name_aside(target.root)
