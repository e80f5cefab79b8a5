"""The end of `clipft prepare`: the files of the data set, the starter files, and the result."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...config.prepare import PrepareConfig
from ...config.train import TrainConfig
from ...errors import ConfigError, ResourceError
from ..files.visible import quoted
from ..labels.folder_names import storable
from ..machine.hardware import find_machine
from ..manifest import SPLITS, Manifest, Origin, Row, digest_of, sorted_rows, write_manifest
from ..sources.drawn import DEFAULT_PER_CLASS, DRAWN_NOTE, draw_file
from ..sources.listing import Listing
from ..sources.problems import PROBLEMS_FILE, Problem, summarise, write_problems
from .draft import Draft
from .layout import class_folders, copy_pictures, move_into_place, readme_text, write_readme
from .split_checks import accuracy_note
from .starter import STARTER_FILE, starter_text, write_new
from .summary import PrepareResult, class_counts, size_range
from .target import Target

IMAGE_FILE = "image.jpg"
OnProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Writing:
    """A data set that is decided, and not yet on disk: what is written where, by way of the folder `work`."""

    target: Target
    work: Path
    listing: Listing
    draft: Draft
    origin: Origin
    on_progress: OnProgress


def write_layout(writing: Writing) -> Manifest:
    """Copy the images into train/val/test folders and give the finished folder its name, in one step."""
    target, draft = writing.target, writing.draft
    folder = writing.work / "dataset"
    folder.mkdir()
    rows = copy_pictures(
        folder,
        draft.pictures,
        draft.splits,
        draft.labels(),
        classes=draft.classes,
        on_done=lambda done, total: writing.on_progress("copying", done, total),
    )
    name = target.root.resolve().name or writing.listing.name
    manifest = finished_manifest(folder, name, draft, rows, writing.origin)
    write_companions(manifest, draft.problems)
    move_into_place(folder, target.root, target.aside)
    return dataclasses.replace(manifest, root=target.root)


def write_in_place(writing: Writing) -> Manifest:
    """Write the manifest and its companions into the root; the images stay where they are."""
    target, draft, origin = writing.target, writing.draft, writing.origin
    root, is_relative = target.root, target.paths_are_relative
    rows = []
    for picture, split, label in zip(draft.pictures, draft.splits, draft.labels(), strict=True):
        path = _path_in(root, picture.item.file, is_relative)
        rows.append(Row(path, label, split, picture.sha256, picture.bytes, picture.item.group))
    left_out = _left_out_sizes(target, draft.problems)
    name = target.previous.name if target.previous else root.resolve().name or writing.listing.name
    manifest = finished_manifest(root, name, draft, rows, dataclasses.replace(origin, left_out=left_out))
    try:
        root.mkdir(parents=True, exist_ok=True)
        _write_files(manifest, draft.problems)
        if not origin.in_place:
            for split in SPLITS:
                for folder in class_folders(draft.classes, manifest.rows):
                    (root / split / folder).mkdir(parents=True, exist_ok=True)
            write_readme(root, readme_text(manifest))
    except OSError as error:
        raise ResourceError(
            f"{root}: cannot be written to: {error.strerror}",
            hint="give a folder that can be written to with --output-dir",
        ) from None
    return manifest


def _path_in(root: Path, file: Path, is_relative: bool) -> str:
    if is_relative:
        return file.relative_to(root).as_posix()
    # most files of a folder are no links: it is resolved once for all of them
    return (file.resolve() if os.path.islink(file) else _resolved(file.parent) / file.name).as_posix()


@lru_cache(maxsize=256)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


def _left_out_sizes(target: Target, problems: Sequence[Problem]) -> Mapping[str, int]:
    """Files that were seen and not taken, under the names `find_changes` sees them by."""
    base = Path(target.source or ".")
    sizes = {}
    for problem in problems:
        file = base / problem.file
        if problem.action == "left out" and target.kind.is_folder and file.is_file():
            path = problem.file if target.paths_are_relative else file.resolve().as_posix()
            sizes[storable(path)] = file.stat().st_size
    return sizes


def finished_manifest(root: Path, name: str, draft: Draft, rows: Sequence[Row], origin: Origin) -> Manifest:
    """The manifest of a draft whose images lie where `rows` say."""
    classes = tuple(draft.classes)
    return Manifest(root, name, classes, sorted_rows(rows), digest_of(classes, rows), origin)


def write_companions(manifest: Manifest, problems: Sequence[Problem]) -> None:
    """Write the manifest, problems.csv and README.md of a data set whose images are in their folders."""
    _write_files(manifest, problems)
    write_readme(manifest.root, readme_text(manifest))


def _write_files(manifest: Manifest, problems: Sequence[Problem]) -> None:
    write_problems(manifest.root / PROBLEMS_FILE, problems)
    write_manifest(manifest)


def describe(
    manifest: Manifest, listing: Listing, draft: Draft, config: PrepareConfig, seconds: float
) -> PrepareResult:
    """The result of a preparation, with the starter files written."""
    result = _base_result(manifest, seconds)
    result.sizes = size_range(draft.pictures)
    result.left_out = summarise(draft.problems)
    result.n_left_out = sum(problem.action == "left out" for problem in draft.problems)
    result.ignored = listing.ignored
    result.near_duplicate_groups = sum(n > 1 for n in Counter(draft.near).values())
    result.notes = listing.notes
    result.warnings += draft.warnings
    if result.counts["test"]:
        result.notes.append(accuracy_note(result.counts["test"]))
    _write_starters(result, manifest, config)
    return result


def describe_existing(manifest: Manifest, config: PrepareConfig, seconds: float) -> PrepareResult:
    """The result where the very same data set was there already."""
    result = _base_result(manifest, seconds)
    result.already_prepared = True
    result.warnings = list(manifest.origin.reading.get("warnings", ()))
    result.notes = [DRAWN_NOTE] if result.is_drawn else []
    _write_starters(result, manifest, config)
    return result


def _base_result(manifest: Manifest, seconds: float) -> PrepareResult:
    return PrepareResult(
        manifest.root,
        manifest.name,
        manifest.origin.source,
        class_counts(manifest),
        manifest.digest,
        is_drawn=manifest.origin.is_drawn,
        reading=dict(manifest.origin.reading),
        seconds=round(seconds, 2),
    )


def _write_starters(result: PrepareResult, manifest: Manifest, config: PrepareConfig) -> None:
    """clipft.yaml and, for drawings, image.jpg in the current folder, never over a file that is there.

    None for a set that is for measuring only: it belongs to a model that is there already.
    """
    counts = result.counts
    if not counts["train"] and not counts["val"]:
        result.next_command = f"clipft evaluate --data-dir {quoted(result.data_dir.as_posix())}"
        return
    text, pick = starter_text(
        result.data_dir,
        find_machine(),
        n_images=sum(counts.values()),
        n_train=counts["train"],
        seed=config.seed,
        is_drawn=result.is_drawn,
    )
    result.method, result.method_tree, result.method_why = pick.method, pick.tree, pick.why
    result.next_command = f"clipft train --config {STARTER_FILE}"
    try:
        if write_new(Path(STARTER_FILE), text):
            result.config_file = STARTER_FILE
        elif _points_to(Path(STARTER_FILE), result.data_dir):
            result.notes.append(f"{STARTER_FILE} is there already, for this data, and was left as it is")
        else:
            result.notes.append(f"{STARTER_FILE} is there already, for other data, and was left as it is")
            result.next_command = (
                f"clipft train --config {STARTER_FILE} --data-dir {quoted(result.data_dir.as_posix())}"
            )
        if result.is_drawn:
            _write_image(result, manifest, config.prepare.samples_per_class or DEFAULT_PER_CLASS)
    except OSError as error:
        result.warnings.append(f"no starter files were written here: {error.strerror}")
        result.next_command = f"clipft train --data-dir {quoted(result.data_dir.as_posix())}"


def _points_to(file: Path, data_dir: Path) -> bool:
    """Whether a configuration file names this data folder."""
    from ...config.load import load_config

    try:
        return load_config(TrainConfig, file).data.dir == data_dir
    except ConfigError:
        return False


def _write_image(result: PrepareResult, manifest: Manifest, per_class: int) -> None:
    """A drawing that is in no split: its index lies beyond those used."""
    seed = manifest.origin.seed
    info = manifest.classes[seed % len(manifest.classes)]
    try:
        draw_file(Path(IMAGE_FILE), info.name, seed, per_class)
        result.image_file = IMAGE_FILE
        result.notes.append(f"{IMAGE_FILE} shows: {info.readable}; a drawing that is in no split")
    except FileExistsError:
        result.notes.append(f"{IMAGE_FILE} is there already and was left as it is")
