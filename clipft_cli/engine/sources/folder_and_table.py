"""Class folders with a table beside them: read by the folders where both say the same, else asked about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...errors import Answer, ClipftError, Question
from ..files.visible import shown
from ..labels.alike import as_read
from ..manifest import SPLITS
from .folders import FOLDER
from .image_finder import ImageFinder
from .listing import Item, Listing
from .problems import UNLABELLED
from .source import SourceRequest
from .split_lists import lines_of
from .table_folder import alone, has_class_folders, list_one, split_of_name, tables_in
from .tree import walk

_HALF = 0.5
_N_NAMED = 6
_LABEL_KEY = "label_column"
_TEXTS = frozenset({".txt", ".lst", ".tsv"})
_DEEPEST = 3
_MOST_TEXTS = 20


def _evidence(text: str) -> str:
    path = Path(text)
    if not text or not path.is_dir() or (path / "dataset.json").exists() or not tables_in(path):
        return ""
    return f"{text} is a folder of folders, with a table beside them" if has_class_folders(path) else ""


def list_folder_and_table(request: SourceRequest) -> Listing:
    """The images by their folders. Raises Question where a table of half of them or more gives other classes."""
    listing = FOLDER.read(request)
    root = request.path
    by_folder = {item.file: item.label for item in listing.items}
    for path in tables_in(root):
        readings = list(_readings(path, request, root))
        if readings and request.options.label_column is None:
            _take_labels(listing, request, path, {item.file: item.label for item in readings[0][0].items})
        if request.options.paths:
            continue
        same = next((reading for reading in readings if _says_the_same(reading[0], by_folder)), None)
        readings = [reading for reading in readings if not _names_each_image(reading[0])]
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
    has_unlabelled = any(problem.reason == UNLABELLED for problem in listing.problems)
    for path in _texts(root) if has_unlabelled and request.options.label_column is None else ():
        _take_labels(listing, request, path, _by_lines(path, root))
    return listing


def _take_labels(listing: Listing, request: SourceRequest, path: Path, given: Mapping[Path, str]) -> None:
    """Images of a split in no class folder get the class that a table gives them, where the folders have it too."""
    root = request.path
    names = {root / problem.file: problem.file for problem in listing.problems if problem.reason == UNLABELLED}
    labels = {names[file]: label for file, label in given.items() if file in names}
    if not labels:
        return
    known = {as_read(label): label for label in listing.labels()}
    found = {label: _known(label, known) for label in set(labels.values())}
    where = f"{path.relative_to(root)} gives classes to {len(labels):,} images that lie in no class folder"
    strange = sorted(shown(label, 40) for label, name in found.items() if name is None)
    if strange:
        others = f"{', '.join(strange[:3])}{', ...' if len(strange) > 3 else ''}"
        listing.warnings.append(f"{where}, other classes than the folders have ({others}): they are left out")
        return
    for name, label in labels.items():
        split = next((split for part in reversed(Path(name).parts[:-1]) if (split := split_of_name(part))), None)
        listing.items.append(Item(root / name, name, found[label] or "", split))
    listing.problems = [problem for problem in listing.problems if problem.file not in labels]
    listing.notes.append(f"{where}; `{request.again('--label-column', 'none')}` leaves them out")


def _texts(root: Path) -> list[Path]:
    """Texts in a folder and its folders, where there is not one for each image."""
    texts = [root / path for path in walk(root).files if path.suffix.lower() in _TEXTS and len(path.parts) <= _DEEPEST]
    crowds = Counter(path.parent for path in texts)
    return [path for path in texts if crowds[path.parent] <= _MOST_TEXTS]


def _by_lines(path: Path, root: Path) -> dict[Path, str]:
    """Of a text whose lines begin with an image and its class, whatever follows (a box): the class of each image."""
    finder = ImageFinder([path.parent, root])
    found: dict[Path, str] = {}
    for line in lines_of(path):
        parts = [part for part in re.split(r"[\t,; ]", line, maxsplit=2) if part]
        file = finder.look(parts[0]) if len(parts) > 1 else None
        if isinstance(file, Path):
            found[file] = parts[1]
    return found


def _known(label: str, known: Mapping[str, str]) -> str | None:
    """The class that is called so, or as the first word of it: `n01440764 13 9 110 210` has a box behind the class."""
    return known.get(as_read(label)) or known.get(as_read(label.partition(" ")[0]))


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


def _names_each_image(table: Listing) -> bool:
    """Whether every row has a label of its own: a number or a name of the image, no class."""
    return len(table.items) > 2 and len(table.labels()) == len(table.items)


def _named(listing: Listing) -> str:
    labels = listing.labels()
    return ", ".join(shown(label, 40) for label in labels[:_N_NAMED]) + (", ..." if len(labels) > _N_NAMED else "")


FOLDER_AND_TABLE = replace(FOLDER, name="folder-and-table", evidence=_evidence, read=list_folder_and_table)
