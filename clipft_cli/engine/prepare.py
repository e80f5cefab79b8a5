"""`clipft prepare`: from images of any source to a checked, split, described data set."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.prepare import PrepareConfig, PrepareOptions
from ..errors import ConfigError
from .events import unheard
from .manifest import Origin
from .pages.contact_sheet import write_sheet
from .preparation.draft import choose, losses_of, make_draft, settle_labels
from .preparation.finish import Writing, describe, describe_existing, write_in_place, write_layout
from .preparation.layout import work_folder
from .preparation.reading import Reading, reading_of
from .preparation.request import asked_options, fingerprint, identities
from .preparation.skeleton import SkeletonResult, write_skeleton
from .preparation.split import Shares
from .preparation.summary import PrepareResult
from .preparation.target import DATA_FOLDER, Target, Wish, check_stays, check_target, choose_target, make_room
from .preparation.update import write_update
from .preparation.validate import ValidationReport, validate
from .sources.class_words import name_classes
from .sources.folders import READING_PAGE
from .sources.listing import Listing
from .sources.losses import warn_of_losses
from .sources.problems import refuse_closed
from .sources.source import OnProgress, SourceRequest


@dataclass(frozen=True)
class Progress:
    """How far a stage is; `total` is None where it is not known. Bytes where the stage is a download."""

    stage: str
    done: int
    total: int | None


def prepare(
    config: PrepareConfig,
    on_event: Callable[[Progress | Reading], None] = unheard,
    *,
    force: bool = False,
    update: bool = False,
) -> PrepareResult:
    """Make the data set that `config` describes, or find that it is there already.

    Another data set at the target is refused; with `update` what is new is taken into it, with `force` it is renamed.
    Writes nothing but the data folder, and into the current folder a starter clipft.yaml and, for the drawn
    dogs, image.jpg, where there are none. Raises ClipftError of the kind of what is wrong.
    """
    started = time.monotonic()
    if force and update:
        raise ConfigError("--force prepares anew and --update keeps what is there", hint="give one of them")
    wish: Wish = "replace" if force else "update" if update else "refuse"

    def on_progress(stage: str, done: int, total: int | None) -> None:
        on_event(Progress(stage, done, total))

    target = choose_target(config.prepare)
    check_target(target)
    with work_folder(target.root, target.stays) as work:
        source = _request(config, target, work, on_progress)
        asked, listing = _what_is_asked(config, target, source)
        room = make_room(target, asked, config, listing, wish)
        if room.existing is not None:
            return describe_existing(room.existing, config, time.monotonic() - started)
        listing = listing or _listing(target, source)
        listing.notes += [f"{target.root} is renamed to {room.aside}"] if room.aside else []
        listing.notes += [room.note] if room.note else []
        target = replace(target, earlier=room.earlier, aside=room.aside)
        settle_labels(config, target, listing)
        reading = reading_of(config, target, listing)
        on_event(reading)
        draft = make_draft(config, target, listing, on_progress)
        if target.earlier is not None or target.previous is not None:
            refuse_closed(draft.problems, "; the data set that is there would lose its images")
        reading = replace(reading, notes=tuple(listing.notes), warnings=tuple(draft.warnings))
        write = write_in_place if target.stays else write_update if update and room.earlier else write_layout
        origin = replace(_origin(config, target, asked, draft.shares), reading=reading.to_json())
        manifest = write(Writing(target, work, listing, draft, origin, on_progress))
        write_sheet(manifest.root / READING_PAGE, reading, listing.items)
    return describe(manifest, listing, draft, config, time.monotonic() - started)


def plan(
    config: PrepareConfig, on_event: Callable[[Progress], None] = unheard, *, sheet: Path | None = None
) -> Reading:
    """How `prepare` would read what `config` names.

    Nothing is written but what a published data set downloads, and the page `sheet` with pictures of each class.

    Raises Question where there is more than one way, and ClipftError as `prepare` does where there is none.
    """
    target = choose_target(config.prepare)
    with tempfile.TemporaryDirectory(prefix="clipft-") as work:
        source = _request(config, target, Path(work), lambda stage, done, total: on_event(Progress(stage, done, total)))
        listing = _listing(target, source)
        settle_labels(config, target, listing)
        listing.warnings += losses_of(choose(config, target, listing, listing.warnings))
        reading = reading_of(config, target, listing)
        if sheet is not None:
            write_sheet(sheet, reading, listing.items)
    return reading


def _listing(target: Target, source: SourceRequest) -> Listing:
    """All of the source, with a warning of what its reading leaves out."""
    listing = target.kind.read(source)
    warn_of_losses(listing)
    if source.options.source and (path := Path(source.options.source)).exists():
        name_classes(listing, path if path.is_dir() else path.parent)
    return listing


def _request(config: PrepareConfig, target: Target, work: Path, on_progress: OnProgress) -> SourceRequest:
    """What the source is read with: the options, and the layout that is known of a data set prepared again."""
    update = {"source": target.source, "paths": config.prepare.paths or target.paths}
    options = config.prepare.model_copy(update=update)
    return SourceRequest(options, config.seed, work, target.root.parent / "downloads", on_progress)


def make_skeleton(options: PrepareOptions, classes: str | None = None) -> SkeletonResult:
    """Folders without images: of the classes in `classes` ("a,b,c"), else of the first drawn breeds.

    Raises ConfigError for class names that do not do, DataError where something is there already.
    """
    root = options.output_dir or DATA_FOLDER / "dogs"
    return write_skeleton(root, classes, options.num_classes)


def validate_dataset(options: PrepareOptions, on_event: Callable[[Progress], None] = unheard) -> ValidationReport:
    """Check the data set that SOURCE or --output-dir names, by default data/dogs; nothing is written."""
    root = Path(options.source) if options.source else options.output_dir or DATA_FOLDER / "dogs"
    return validate(
        root,
        options.near_duplicate_distance,
        lambda stage, done, total: on_event(Progress(stage, done, total)),
    )


def _what_is_asked(config: PrepareConfig, target: Target, source: SourceRequest) -> tuple[str, Listing | None]:
    """The fingerprint of what was asked for; and the listing, where it had to be read for that."""
    content = target.kind.content(source.options)
    if content is not None:
        return fingerprint(config, content), None
    listing = _listing(target, source)
    check_stays(target, listing, source.work)
    return fingerprint(config, identities(listing.items)), listing


def _origin(config: PrepareConfig, target: Target, request: str, shares: Shares) -> Origin:
    """How the data set came about; one prepared again keeps the name of its source."""
    source = target.kind.origin(target.source or "")
    if target.is_again and target.previous is not None:
        source = target.previous.origin.source
    is_in_place = target.stays and (not target.is_again or bool(target.previous and target.previous.origin.in_place))
    return Origin(source, config.seed, shares, is_in_place, {}, request, asked_options(config))
