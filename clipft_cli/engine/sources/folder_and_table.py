"""Class folders with a table beside them: read by the folders where both say the same, else asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...errors import Answer, ClipftError, Question
from ..files.visible import shown
from ..manifest import SPLITS
from .folders import FOLDER
from .listing import Listing
from .source import SourceRequest
from .table_folder import alone, has_class_folders, list_one, tables_in

_HALF = 0.5
_N_NAMED = 6
_LABEL_KEY = "label_column"


def _evidence(text: str) -> str:
    path = Path(text)
    if not text or not path.is_dir() or (path / "dataset.json").exists() or not tables_in(path):
        return ""
    return f"{text} is a folder of folders, with a table beside them" if has_class_folders(path) else ""


def list_folder_and_table(request: SourceRequest) -> Listing:
    """The images by their folders. Raises Question where a table of half of them or more gives other classes."""
    listing = FOLDER.read(request)
    if request.options.paths:
        return listing
    root = request.path
    by_folder = {item.file: item.label for item in listing.items}
    for path in tables_in(root):
        readings = list(_readings(path, request, root))
        same = next((reading for reading in readings if _says_the_same(reading[0], by_folder)), None)
        if not readings or same:
            if same:
                _warn_of_splits(listing, *same, path, request)
            continue
        raise request.question(
            f"{root}: its folders and {path.relative_to(root)} give images different classes",
            [
                Answer(f"the classes are the folders: {_named(listing)}", {"paths": listing.read_as["paths"]}),
                *(
                    Answer(f"the classes stand in {where}: {_named(table)}", {**alone(path, root), **settings})
                    for table, settings in readings
                    for where in [
                        f"column {shown(settings[_LABEL_KEY], 40)}" if _LABEL_KEY in settings else "the table"
                    ]
                ),
            ],
        )
    return listing


def _readings(path: Path, request: SourceRequest, root: Path) -> Iterator[tuple[Listing, Mapping[str, str]]]:
    """Each way to read a table of images, with the settings that ask for it; none where it holds something else."""
    try:
        yield list_one(path, request, None, root), {}
    except Question as question:
        for answer in question.answers:
            options = request.options.model_copy(update=dict(answer.settings))
            with suppress(ClipftError):
                yield list_one(path, replace(request, options=options), None, root), answer.settings
    except ClipftError:
        return


def _warn_of_splits(
    listing: Listing, table: Listing, settings: Mapping[str, str], path: Path, request: SourceRequest
) -> None:
    """Say that a table gives splits to images whose folders give none."""
    counts = Counter(item.split for item in table.items if item.split)
    if len(counts) < 2 or any(item.split for item in listing.items) or request.options.split_column is not None:
        return
    given = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])
    way = request.question("", [Answer("", {**alone(path, request.path), **settings})]).commands[0]
    listing.warnings.append(
        f"{path.relative_to(request.path)} gives splits ({given}), which the folders do not: `{way}` takes them;"
        " `--split-column none` says that they do not count"
    )


def _says_the_same(table: Listing, by_folder: Mapping[Path, str]) -> bool:
    """Whether a table divides the images as their folders do, or names too few of them to say anything."""
    pairs = {(by_folder[item.file], item.label) for item in table.items if item.file in by_folder}
    n_named = sum(item.file in by_folder for item in table.items)
    return n_named < _HALF * len(by_folder) or len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})


def _named(listing: Listing) -> str:
    labels = listing.labels()
    return ", ".join(shown(label, 40) for label in labels[:_N_NAMED]) + (", ..." if len(labels) > _N_NAMED else "")


FOLDER_AND_TABLE = replace(FOLDER, name="folder-and-table", evidence=_evidence, read=list_folder_and_table)
