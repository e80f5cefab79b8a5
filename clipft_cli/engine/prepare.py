"""`clipft prepare`: from images of any source to a checked, split, described data set."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.commands import PrepareConfig, PrepareOptions
from ..errors import ConfigError
from .manifest import Manifest, Origin
from .preparation.draft import make_draft
from .preparation.finish import describe, describe_existing, write_in_place, write_layout
from .preparation.layout import work_folder
from .preparation.skeleton import SkeletonResult, write_skeleton
from .preparation.summary import PrepareResult
from .preparation.target import DATA_FOLDER, Target, check_target, choose_target, make_room
from .preparation.validate import ValidationReport, validate
from .sources import SourceRequest, read_source, source_kind
from .sources.drawn import DEFAULT_PER_CLASS, drawn_classes
from .sources.listing import Item, Listing

DRAWN_VERSION = 1
_NOT_ASKED_FOR = ("output_dir", "source", "archive")
_FIRST_KEYS = (
    "num_classes",
    "samples_per_class",
    "split",
    "include",
    "exclude",
    "image_column",
    "label_column",
    "split_column",
    "near_duplicate_distance",
    "in_place",
)
"""Keys of the first version: its fingerprints hold them all, so that a key added later changes none of them."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is; `total` is None where it is not known. Bytes where the stage is a download."""

    stage: str
    done: int
    total: int | None


def prepare(
    config: PrepareConfig, on_event: Callable[[Progress], None] = lambda event: None, *, force: bool = False
) -> PrepareResult:
    """Make the data set that `config` describes, or find that it is there already.

    Writes nothing but the data folder, and into the current folder a starter clipft.yaml and, for the drawn
    dogs, image.jpg, where there are none. Raises ClipftError of the kind of what is wrong.
    """
    started = time.monotonic()

    def on_progress(stage: str, done: int, total: int | None) -> None:
        on_event(Progress(stage, done, total))

    target = choose_target(config.prepare, source_kind(config.prepare.source))
    check_target(target)
    with work_folder(target.root, target.stays) as work:
        found = _read(config, target, work, on_progress, force)
        if found.existing is not None:
            return describe_existing(found.existing, config, time.monotonic() - started)
        draft = make_draft(config, target, found.listing, on_progress)
        write = write_in_place if target.stays else write_layout
        manifest = write(target, work, found.listing, draft, _origin(config, target, found.request), on_progress)
    return describe(manifest, found.listing, draft, config, time.monotonic() - started)


def make_skeleton(options: PrepareOptions, classes: str | None = None) -> SkeletonResult:
    """Folders without images: of the classes in `classes` ("a,b,c"), else of the first drawn breeds.

    Raises ConfigError for class names that do not do, DataError where something is there already.
    """
    root = options.output_dir or DATA_FOLDER / "dogs"
    return write_skeleton(root, classes, options.num_classes)


def validate_dataset(
    options: PrepareOptions, on_event: Callable[[Progress], None] = lambda event: None
) -> ValidationReport:
    """Check the data set that SOURCE or --output-dir names, by default data/dogs; nothing is written."""
    root = Path(options.source) if options.source else options.output_dir or DATA_FOLDER / "dogs"
    return validate(
        root,
        options.near_duplicate_distance,
        lambda stage, done, total: on_event(Progress(stage, done, total)),
    )


@dataclass(frozen=True)
class _Found:
    """What there is to prepare: the images, or the data set that was already made of them."""

    listing: Listing
    request: str
    existing: Manifest | None = None


def _read(
    config: PrepareConfig,
    target: Target,
    work: Path,
    on_progress: Callable[[str, int, int | None], None],
    force: bool,
) -> _Found:
    options = config.prepare.model_copy(update={"source": target.source})
    downloads = target.root.parent / "downloads"
    source = SourceRequest(options, config.seed, work, downloads, on_progress)
    if target.kind == "drawn":
        # what would be drawn is known without drawing
        per_class = options.samples_per_class or DEFAULT_PER_CLASS
        request = _fingerprint(config, [f"drawn {DRAWN_VERSION} {per_class}", *drawn_classes(options.num_classes)])
        existing, note = make_room(target, request, force)
        listing = Listing("dogs", "drawn dogs", is_drawn=True) if existing else read_source(source)
    else:
        listing = read_source(source)
        if target.stays and any(item.file.is_relative_to(work) for item in listing.items):
            raise ConfigError(
                f"{target.source}: holds the images itself, so there is no place for them to stay in",
                hint="leave --in-place out: they are copied into the data folder",
            )
        request = _fingerprint(config, [_identity(item) for item in listing.items])
        existing, note = make_room(target, request, force)
    listing.notes += [note] if note else []
    return _Found(listing, request, existing)


def _identity(item: Item) -> str:
    try:
        size = item.file.stat().st_size
    except OSError:
        size = -1
    return f"{item.name}|{item.label}|{item.split}|{size}"


def _fingerprint(config: PrepareConfig, images: Sequence[str]) -> str:
    """What was asked for and of which images: the same again needs no work."""
    first = config.prepare.model_dump(mode="json", include=set(_FIRST_KEYS))
    later = config.prepare.model_dump(mode="json", exclude={*_FIRST_KEYS, *_NOT_ASKED_FOR}, exclude_defaults=True)
    options = {**first, **later}
    text = json.dumps([options, config.seed, list(images)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _origin(config: PrepareConfig, target: Target, request: str) -> Origin:
    """How the data set came about; one prepared again keeps the name of its source."""
    source = target.source or "drawn dogs"
    if target.kind in ("folder", "table") and target.source:
        source = str(Path(target.source).resolve())
    if target.is_again and target.previous is not None:
        source = target.previous.origin.source
    is_in_place = target.stays and (not target.is_again or bool(target.previous and target.previous.origin.in_place))
    return Origin(source, config.seed, config.prepare.split, is_in_place, {}, request)
