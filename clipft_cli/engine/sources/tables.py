"""CSV, JSONL and Parquet as a source: a column that names the image, one that names the class."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.commands import PrepareOptions
from ...config.data import SplitName
from ...errors import ConfigError, DataError, MissingExtraError
from ..files.visible import shown
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from .listing import SPLIT_WORDS, Item, Listing
from .problems import Problem
from .source import Source, whole_path

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
IMAGE_COLUMNS = ("image", "image_path", "path", "filepath", "file_path", "file", "filename", "file_name", "img")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "label_name", "target", "breed", "species")
SPLIT_COLUMNS = ("split", "subset", "partition", "set")
MAX_CELL = 1 << 20


@dataclass(frozen=True)
class Columns:
    """Names of the columns that count; `split` may be missing."""

    image: str
    label: str
    split: str | None


def list_table(path: Path, options: PrepareOptions, work: Path, inside: Path | None = None) -> Listing:
    """The images a table names, relative to its own folder.

    `inside`: no image outside this folder is taken (for tables that came in an archive).
    Raises DataError or ConfigError where the table or its columns cannot be understood.
    """
    listing = Listing(path.stem, str(path))
    columns: Columns | None = None
    for number, row in _rows(path, listing.problems):
        if columns is None:
            columns = find_columns(path, row, options)
            used = [f"image: {columns.image}", f"class: {columns.label}"]
            used += [f"split: {columns.split}"] if columns.split else []
            listing.notes.append("columns used: " + ", ".join(used))
        found = _item(number, row, columns, path, work, inside)
        if isinstance(found, Item):
            listing.items.append(found)
        else:
            listing.problems.append(found)
    if columns is None:
        raise DataError(f"{path}: holds no rows", hint="a table needs a column for the image and one for the class")
    listing.items = _once(listing.items, listing.problems)
    if not listing.items:
        first = listing.problems[0]
        raise DataError(
            f"{path}: no row could be used; the first: {first.file}: {first.reason} ({first.detail})",
            hint="paths in the table are relative to the folder it lies in",
        )
    return listing


def find_columns(path: Path, row: Mapping[str, Any], options: PrepareOptions) -> Columns:
    """The columns asked for, or those with usual names. Raises ConfigError that names what there is."""
    names = [name for name in row if isinstance(name, str)]
    image = _column(path, names, options.image_column, IMAGE_COLUMNS, "image")
    label = _column(path, names, options.label_column, LABEL_COLUMNS, "label")
    split = options.split_column
    if split is not None:
        split = _column(path, names, split, (), "split")
    else:
        split = next((name for name in names if name.strip().lower() in SPLIT_COLUMNS), None)
    return Columns(image, label, split)


def _column(path: Path, names: list[str], asked: str | None, usual: tuple[str, ...], key: str) -> str:
    if asked is not None:
        if asked in names:
            return asked
        problem = f"has no column '{asked}'"
    else:
        lowered = {name.strip().lower(): name for name in reversed(names)}
        for name in usual:
            if name in lowered:
                return lowered[name]
        problem = f"no column is known to hold the {key}"
    raise ConfigError(
        f"{path}: {problem}; columns: {', '.join(shown(name, 40) for name in names[:20])}",
        hint=f"name it with `--set prepare.{key}_column=NAME`",
    )


def _item(
    number: int, row: Mapping[str, Any], columns: Columns, path: Path, work: Path, inside: Path | None
) -> Item | Problem:
    where = f"{path.name}, row {number}"
    label, split_word, image = row.get(columns.label), row.get(columns.split or ""), row.get(columns.image)
    if label is None or not str(label).strip():
        return Problem(where, "row without a class")
    name = class_name(str(label).strip())
    split: SplitName | None = None
    if columns.split and split_word is not None and str(split_word).strip():
        split = SPLIT_WORDS.get(str(split_word).strip().lower())
        if split is None:
            return Problem(where, "unknown split", shown(str(split_word), 40), name)
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytes | bytearray):
        file = work / f"{number:08d}{image_suffix(bytes(image[:16]))}"
        work.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
        return Item(file, where, name, split)
    if image is None or not str(image).strip():
        return Problem(where, "row without an image", "", name)
    return _path_item(where, str(image).strip(), name, split, path.parent, inside)


def image_suffix(start: bytes) -> str:
    """The usual suffix of a file that starts so; `.image` where it is not one of the common kinds."""
    leads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp"}
    return next((suffix for lead, suffix in leads.items() if start.startswith(lead)), ".image")


def _path_item(
    where: str, text: str, label: str, split: SplitName | None, base: Path, inside: Path | None
) -> Item | Problem:
    if "://" in text:
        return Problem(where, "a web address, not a file", shown(text, 120), label)
    file = base / text
    try:
        if inside is not None and not file.resolve().is_relative_to(inside.resolve()):
            return Problem(where, "outside the archive", shown(text, 120), label)
        if not file.exists():
            return Problem(where, "file not found", shown(text, 120), label)
    except (OSError, ValueError):
        return Problem(where, "file not found", shown(text, 120), label)
    return Item(file, text, label, split)


def _once(items: Iterable[Item], problems: list[Problem]) -> list[Item]:
    """Items without those that repeat an earlier row; the same file under another label or split stays."""
    seen: set[tuple[Path, str, SplitName | None]] = set()
    kept = []
    for item in items:
        key = (item.file, item.label, item.split)
        if key in seen:
            problems.append(Problem(item.name, "listed twice in the table", "", item.label))
        else:
            seen.add(key)
            kept.append(item)
    return kept


def _rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(number from 1, row) of every row that can be read; others become problems."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            yield from _parquet_rows(path)
        elif suffix in (".jsonl", ".ndjson"):
            yield from _json_rows(path, problems)
        else:
            yield from _csv_rows(path)
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text", hint="save it as UTF-8 and try again") from None
    except csv.Error as error:
        raise DataError(f"{path}: is no readable CSV: {error}") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(MAX_CELL)
    with open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        delimiter = max(",;\t", key=header.count)
        file.seek(0)
        yield from enumerate(csv.DictReader(file, delimiter=delimiter), start=1)


def _json_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield number, row
            else:
                problems.append(Problem(f"{path.name}, row {number}", "not a JSON object"))


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            f"{path}: reading Parquet needs pyarrow", hint="pip install 'clipft-cli[parquet]'"
        ) from None
    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(f"{path}: is no readable Parquet: {reason}") from None


def _evidence(text: str) -> str:
    path = Path(text)
    is_table = path.suffix.lower() in TABLE_SUFFIXES and path.exists() and not path.is_dir()
    return f"the name of {path.name} ends as that of a table, with {path.suffix}" if is_table else ""


TABLE = Source(
    "table",
    "CSV, JSONL, Parquet",
    _evidence,
    lambda request: list_table(request.path, request.options, request.work / "table"),
    data_folder=lambda text: folder_name(Path(text).stem),
    origin=whole_path,
    images_may_stay=True,
)
