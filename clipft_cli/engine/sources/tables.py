"""CSV, JSONL and Parquet as a source: a column that names the image, one that names the class."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.data import SplitName
from ...errors import DataError, Question
from ..files.amounts import count
from ..files.visible import quoted, shown
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from ..tables.cells import ManyLabels, file_text, label_text, mark
from ..tables.read import TABLE_SUFFIXES, read_table
from ..tables.table import Row, Table
from .column_words import IMAGE, LABEL, is_called
from .columns import ColumnChoice, Columns
from .image_finder import NOT_FOUND, ImageFinder, Unfound
from .listing import Item, Listing
from .problems import TWICE, Problem
from .several_labels import refuse_several_labels
from .source import Source, SourceRequest, whole_path
from .split_lists import apply_split_lists
from .split_words import split_word
from .tree import walk

_FEW = 0.05
"""Of the rows: so many may be left out without a warning."""


def list_table(path: Path, request: SourceRequest, inside: Path | None = None, beside: Sequence[Path] = ()) -> Listing:
    """The images a table names, looked for in its own folder, in those `beside` and below, or in --image-root.

    `inside`: no image outside this folder is taken (for tables that came in an archive).
    Raises DataError or ConfigError where the table or its columns cannot be understood.
    """
    root = request.options.image_root
    if root is not None and inside is not None and not root.is_absolute():
        root = inside / root
    finder = ImageFinder([root] if root else [path.parent, *beside], inside, _of_split(path))

    def is_a_row(cells: Sequence[str]) -> bool:
        if any(is_called(cell, IMAGE) or is_called(cell, LABEL) for cell in cells):
            return False
        return any(isinstance(finder.look(cell), Path) or looks_like_a_file(cell) for cell in cells if cell)

    try:
        table = read_table(path, request.options.encoding, is_a_row)
    except Question as error:
        raise request.question(error.asks, error.answers) from None
    return list_rows(table, path, request, finder)


def list_rows(table: Table, path: Path, request: SourceRequest, finder: ImageFinder) -> Listing:
    """The images that the rows of `table` name, which was read from `path`. Raises as `list_table` does."""
    listing = Listing(path.stem, str(path), notes=list(table.notes))
    listing.problems += [Problem(f"{path.name}, {place}", reason) for place, reason in table.problems]
    if next(table.read(table.names[:1]), None) is None:
        raise DataError(f"{path}: holds no rows", hint="a table needs a column for the image and one for the class")
    choice = ColumnChoice(str(path), table, request, finder)
    columns = choice.columns()
    listing.notes += [f"columns used: {columns.used()}", *choice.notes]
    listing.warnings += choice.warnings
    listing.read_as, listing.places = columns.as_options(), columns.places()
    reader = _RowReader(path, table, columns, _new_folder(request.work), finder)
    for row in table.read(reader.names):
        found = reader.item(row)
        if isinstance(found, Item):
            listing.items.append(found)
        else:
            listing.problems.append(found)
    listing.items = _once(listing.items, listing.problems)
    if finder.n_searched:
        roots = ", ".join(shown(str(root), 80) or "." for root in finder.roots)
        listing.notes.append(f"{count(finder.n_searched, 'image was', 'images were')} found by name below {roots}")
    _check_usable(listing, columns, request)
    refuse_several_labels(listing, request)
    return listing


def _of_split(table: Path) -> Callable[[Path], bool]:
    """Whether a file lies in a folder of the split that the table's own name says: train.csv means train/."""
    word = split_word(table.stem)

    def lies_there(file: Path) -> bool:
        words = [split_word(part) for part in file.parts[:-1]]
        return word is not None and any(found and found.split == word.split for found in words)

    return lies_there


def _new_folder(work: Path) -> Path:
    """A folder that no other table has written images to."""
    return next(folder for n in itertools.count(1) if not (folder := work / f"table-{n}").exists())


def looks_like_a_file(cell: str) -> bool:
    """Whether a cell of a first line is the name of a picture, so that the line is no header."""
    from ..files.pictures import image_suffixes

    return Path(cell.replace("\\", "/")).suffix.lower() in image_suffixes() and len(cell) < 4096


class _RowReader:
    """From a row to an image with its class, or to what is wrong with the row."""

    def __init__(self, path: Path, table: Table, columns: Columns, work: Path, finder: ImageFinder) -> None:
        self.path, self.columns, self.work, self.finder = path, columns, work, finder
        self.class_names = table.class_names.get(columns.label[0], []) if len(columns.label) == 1 else []
        split = [columns.split.name] if columns.split else []
        group = [columns.group] if columns.group else []
        folder = [columns.folder] if columns.folder else []
        self.names = [columns.image, *columns.label, *split, *group, *folder]
        self._n_images = 0

    def item(self, row: Row) -> Item | Problem:
        """The image of a row. Raises DataError for a class that is several."""
        where = f"{self.path.name}, {row.place}"
        image, cells = row.cells[0], list(row.cells[1:])
        label = self._label(where, cells[: len(self.columns.label)])
        cells = cells[len(self.columns.label) :]
        if label is None and self.columns.label:
            return Problem(where, "row without a class")
        name = class_name(label) if label else ""
        split: SplitName | None = None
        if self.columns.split is not None:
            cell = cells.pop(0)
            try:
                split = self.columns.split.split_of(cell)
            except KeyError:
                return Problem(where, "unknown split", shown(str(cell), 40), name)
        group = label_text(cells.pop(0)) if self.columns.group else None
        found = self._file(where, image, [file_text(cells[0]) if cells else None, label])
        if isinstance(found, Problem):
            return Problem(found.file, found.reason, found.detail, name)
        file, text = found
        return Item(file, text, name or class_name(file.parent.name), split, group)

    def _label(self, where: str, cells: Sequence[Any]) -> str | None:
        if len(cells) > 1:
            marked = [name for name, cell in zip(self.columns.label, cells, strict=True) if mark(cell)]
            if len(marked) > 1:
                raise _several(self.path, where, ", ".join(marked))
            return marked[0] if marked else None
        try:
            text = label_text(cells[0]) if cells else None
        except ManyLabels as error:
            raise _several(self.path, where, error.args[0]) from None
        if self.class_names and text is not None and text.lstrip("-").isdigit():
            number = int(text)
            return self.class_names[number] if 0 <= number < len(self.class_names) else None
        return text

    def _file(self, where: str, image: Any, folders: Sequence[str | None]) -> tuple[Path, str] | Problem:
        """The file, and what it is called; one of `folders` may say which of several files is meant."""
        if isinstance(image, Mapping):
            image = image.get("bytes") or image.get("path")
        if isinstance(image, bytes | bytearray):
            self._n_images += 1
            file = self.work / f"{self._n_images:08d}{image_suffix(bytes(image[:16]))}"
            self.work.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image)
            return file, where
        text = file_text(image)
        if text is None:
            return Problem(where, "row without an image")
        found = self.finder.find(text)
        for folder in (folder for folder in folders if folder and isinstance(found, Unfound)):
            within = self.finder.find(f"{folder}/{text}")
            found = within if isinstance(within, Path) else found
        if isinstance(found, Unfound):
            return Problem(where, found.reason, found.detail)
        return found, text


def _several(path: Path, where: str, what: str) -> DataError:
    return DataError(
        f"{where}: the class is {what}",
        hint=f"clipft learns one class an image: write one for each image of {quoted(path)},"
        " or name another column with --label-column",
    )


def image_suffix(start: bytes) -> str:
    """The usual suffix of a file that starts so; `.image` where it is not one of the common kinds."""
    leads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp"}
    return next((suffix for lead, suffix in leads.items() if start.startswith(lead)), ".image")


def _once(items: Iterable[Item], problems: list[Problem]) -> list[Item]:
    """Items without those that repeat an earlier row; the same file under another label or split stays."""
    seen: set[tuple[Path, str, SplitName | None]] = set()
    kept = []
    for item in items:
        key = (item.file, item.label, item.split)
        if key in seen:
            problems.append(Problem(item.name, TWICE, "", item.label))
        else:
            seen.add(key)
            kept.append(item)
    return kept


def _check_usable(listing: Listing, columns: Columns, request: SourceRequest) -> None:
    """Raises DataError where no row could be used, with the way out of what most rows lack."""
    if listing.items:
        return
    reason, n = Counter(problem.reason for problem in listing.problems).most_common(1)[0]
    first = next(problem for problem in listing.problems if problem.reason == reason)
    hints = {
        NOT_FOUND: "paths are looked for in the folder of the table and below;"
        f" `{request.again('--image-root', 'FOLDER')}` looks elsewhere",
        "row without a class": f"`{request.again('--label-column', 'NAME')}` takes the class from another column",
        "unknown split": f"`{request.again('--split-column', 'none')}` divides the images anew",
    }
    raise DataError(
        f"{listing.description}: no row could be used; {n:,} of {len(listing.problems):,} rows: {reason};"
        f" the first: {first.file}" + (f" ({first.detail})" if first.detail else ""),
        hint=hints.get(reason, f"columns used: {columns.used()}"),
    )


def _evidence(text: str) -> str:
    path = Path(text)
    is_table = path.suffix.lower() in TABLE_SUFFIXES and path.exists() and not path.is_dir()
    return f"the name of {path.name} ends as that of a table, with {path.suffix}" if is_table else ""


def _list(request: SourceRequest) -> Listing:
    listing = list_table(request.path, request)
    root = request.path.parent
    # of a folder that nobody gave, no more is looked at than what lies beside the table
    beside = (
        walk(root).files if request.options.split_lists else [Path(e.name) for e in os.scandir(root) if e.is_file()]
    )
    apply_split_lists(listing, root, request, sorted(beside))
    return listing


TABLE = Source(
    "table",
    "CSV, JSONL, Parquet",
    _evidence,
    _list,
    data_folder=lambda text: folder_name(Path(text).stem),
    origin=whole_path,
    images_may_stay=True,
)
