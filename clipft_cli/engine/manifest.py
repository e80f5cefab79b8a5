"""The list of images a data set is made of: which file, which class, which split; and its digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from ..config.data import SplitName
from ..errors import DataError
from .files.regular import open_regular, regular_text
from .files.visible import quoted, visible
from .files.write import write_text
from .labels.class_names import CLASSES_FILE, CLASSES_HEADER, ClassInfo, classes_text, read_class_names
from .machine.versions import versions_of

DATASET_FILE = "dataset.json"
MANIFEST_FILE = "manifest.jsonl"
README_FILE = "README.md"
FORMAT = 1
DRAWN_ORIGIN = "drawn dogs"
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Row:
    """One image. `path` is relative to the data folder (posix) or absolute; `sha256` is of its bytes.

    `group`: images of one group (a patient, a clip) are in one split; None where no groups are known.
    """

    path: str
    label: int
    split: SplitName
    sha256: str
    bytes: int
    group: str | None = None


_ROW_FIELDS = tuple(one.name for one in fields(Row))


@dataclass(frozen=True)
class Origin:
    """How a data set was made. `left_out`: files that were seen and not taken, with their size in bytes.

    `reading` is how the source was read (empty: not known, as of earlier versions).
    `request` is the fingerprint of what was asked for, `options` those of it that are not the defaults (None: not
    known, as of earlier versions).
    """

    source: str = ""
    seed: int = 0
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)
    in_place: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    request: str = ""
    options: Mapping[str, Any] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_drawn(self) -> bool:
        """Whether the images are clipft's own drawings, not photographs. (No path is absolute and reads so.)"""
        return self.source == DRAWN_ORIGIN


@dataclass(frozen=True)
class Manifest:
    """A prepared data set. `rows` are sorted by split, label and path; labels index `classes`."""

    root: Path
    name: str
    classes: tuple[ClassInfo, ...]
    rows: tuple[Row, ...]
    digest: str
    origin: Origin = Origin()

    def count(self, name: SplitName) -> int:
        """How many images that split has; 0 where there is none."""
        return sum(row.split == name for row in self.rows)

    def split(self, name: SplitName) -> tuple[Row, ...]:
        """The rows of one split, in manifest order. Raises DataError where it has none."""
        rows = tuple(row for row in self.rows if row.split == name)
        if not rows:
            counts = ", ".join(f"{s}: {sum(r.split == s for r in self.rows)}" for s in SPLITS)
            raise DataError(
                f"{self.root}: the split '{name}' has no images ({counts})",
                hint="choose another split, or run `clipft prepare` with a share for it",
            )
        return rows

    def file(self, row: Row) -> Path:
        """Where the image of `row` lies."""
        return self.root / row.path  # an absolute path replaces the root


def digest_of(classes: Iterable[ClassInfo], rows: Iterable[Row]) -> str:
    """sha256 over class order and what each split holds; paths and readable names do not count."""
    parts = [cls.name for cls in classes]
    parts += sorted(f"{row.split} {row.label} {row.sha256}" for row in rows)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def sorted_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows in manifest order: by split (train, val, test), label and path."""
    return tuple(sorted(rows, key=lambda row: (SPLITS.index(row.split), row.label, row.path)))


def is_made_by_clipft(folder: Path) -> bool:
    """Whether `folder` was written by `clipft prepare`, as a data set or as a skeleton of one."""
    if (folder / DATASET_FILE).is_file():
        return True
    try:
        with open_regular(folder / CLASSES_FILE) as file:
            return file.readline().startswith(CLASSES_HEADER[:16].encode())
    except OSError:
        return False


def write_manifest(manifest: Manifest) -> None:
    """Write manifest.jsonl, classes.txt and, last, dataset.json into the root; no file appears half."""
    lines = [_row_text(row) for row in sorted_rows(manifest.rows)]
    counts = Counter(row.split for row in manifest.rows)
    header = {
        "format": FORMAT,
        "name": manifest.name,
        "classes": [asdict(info) for info in manifest.classes],
        "counts": {name: counts[name] for name in SPLITS},
        "digest": manifest.digest,
        **asdict(manifest.origin),
        "versions": versions_of("clipft-cli", "pillow"),
    }
    write_text(manifest.root / MANIFEST_FILE, "".join(lines))
    write_text(manifest.root / CLASSES_FILE, classes_text(manifest.classes))
    write_text(manifest.root / DATASET_FILE, json.dumps(header, ensure_ascii=False, indent=1) + "\n")


def _row_text(row: Row) -> str:
    # not asdict, which copies every value: a third of the writing of a large manifest
    values = {name: getattr(row, name) for name in _ROW_FIELDS}
    if row.group is None:
        del values["group"]
    return json.dumps(values, ensure_ascii=False) + "\n"


def require_data_set(data_dir: Path) -> None:
    """Raises DataError where `data_dir` holds no data set; its rows are not looked at."""
    _read_header(Path(data_dir))


def require_training_images(data_dir: Path) -> None:
    """Raises DataError where `data_dir` holds no data set, or one that is for measuring only."""
    counts = _read_header(Path(data_dir)).get("counts")
    if isinstance(counts, dict) and not counts.get("train") and counts.get("test"):
        raise DataError(
            f"{data_dir}: is for measuring only: all {counts['test']:,} images are test, there are none to train on",
            hint=f"`clipft evaluate --data-dir {quoted(data_dir)}` measures a model on them; prepared anew without"
            " --split 0/0/1 they are divided into train, val and test",
        )


def read_manifest(data_dir: Path, *, with_edited_names: bool = True) -> Manifest:
    """The data set in `data_dir`, checked field by field and against its digest.

    Readable names are those of classes.txt where that file is there, or without `with_edited_names` those
    it was prepared with.
    Raises DataError where there is no data set, or what is there is damaged.
    """
    root = Path(data_dir)
    header = _read_header(root)
    try:
        classes = tuple(ClassInfo(str(c["name"]), str(c["readable"])) for c in header["classes"])
        origin = _origin(header)
        name, digest, counts = str(header["name"]), str(header["digest"]), dict(header["counts"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(root / DATASET_FILE, f"field missing or of the wrong kind ({error})") from None
    if len({info.name for info in classes}) != len(classes) or not all(info.name for info in classes):
        raise _damaged(root / DATASET_FILE, "class names are empty or repeat")
    rows = _read_rows(root / MANIFEST_FILE, len(classes), origin.in_place)
    if digest_of(classes, rows) != digest:
        raise _damaged(root, f"{DATASET_FILE} and {MANIFEST_FILE} do not belong together (digest differs)")
    if counts != {split: sum(row.split == split for row in rows) for split in SPLITS}:
        raise _damaged(root / DATASET_FILE, "its counts are not those of the manifest")
    if with_edited_names:
        classes = read_class_names(root / CLASSES_FILE, classes)
    return Manifest(root, name, classes, rows, digest, origin)


def refuse_moved(data_dir: Path, names: Iterable[str]) -> None:
    """Raises DataError where the data set on which the runs `names` are compared is not there."""
    if not data_dir.exists():
        looked = "" if data_dir.is_absolute() else f" (looked from {Path.cwd()})"
        raise DataError(
            f"{visible(str(data_dir))}: the data set of these runs is not there{looked}",
            hint=f"name the folder it is in now: `clipft compare {' '.join(map(quoted, names))} --data-dir DIR`",
        )


def _damaged(place: Path, what: str) -> DataError:
    folder = place if place.suffix not in (".json", ".jsonl", ".txt") else place.parent
    return DataError(f"{place}: {what}", hint=f"write it anew with `clipft prepare {quoted(folder)}`")


def _read_header(root: Path) -> dict[str, Any]:
    path = root / DATASET_FILE
    hint = "`clipft prepare` writes one; `clipft prepare FOLDER` for your own images"
    if not root.exists():
        looked = "" if root.is_absolute() else f" (looked from {Path.cwd()})"
        raise DataError(f"{root}: no such data folder{looked}", hint=hint)
    if not root.is_dir():
        raise DataError(f"{root}: is a file, a data folder is needed", hint=hint)
    if not path.exists():
        if is_made_by_clipft(root):
            hint = f"add images to {root}/train/<class>, then run `clipft prepare {quoted(root)}`"
        elif any(child.is_dir() for child in root.iterdir()):
            hint = f"`clipft prepare {quoted(root)}` makes one of these folders"
        raise DataError(f"{root}: is no prepared data set ({DATASET_FILE} is missing)", hint=hint)
    header = _parse(path, _read(path))
    if not isinstance(header, dict) or not isinstance(header.get("classes"), list):
        raise _damaged(path, "is not the description of a data set")
    if header.get("format") != FORMAT:
        raise _damaged(path, f"has format {header.get('format')!r}, this version reads {FORMAT}")
    return header


def _read(path: Path) -> str:
    try:
        return regular_text(path)
    except FileNotFoundError:
        raise _damaged(path, "is missing") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None


def _parse(path: Path, text: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path, "is not valid JSON" + (f" in line {line}" if line else "")) from None


def _origin(header: Mapping[str, Any]) -> Origin:
    train, val, test = (float(share) for share in header["split"])
    if not isinstance(header["in_place"], bool):
        raise ValueError("in_place")
    left_out = {str(path): int(size) for path, size in header["left_out"].items()}
    return Origin(
        str(header["source"]),
        int(header["seed"]),
        (train, val, test),
        header["in_place"],
        left_out,
        str(header["request"]),
        dict(header["options"]) if header.get("options") is not None else None,
        dict(header.get("reading") or {}),
    )


def _read_rows(path: Path, n_classes: int, is_in_place: bool) -> tuple[Row, ...]:
    rows = []
    for number, text in enumerate(_read(path).split("\n"), start=1):
        if text:
            row = _row(_parse(path, text, number), n_classes, is_in_place)
            if row is None:
                raise _damaged(path, f"line {number} is not an image of this data set")
            rows.append(row)
    if len({row.path for row in rows}) != len(rows):
        raise _damaged(path, "lists a file twice")
    return sorted_rows(rows)


def _row(value: Any, n_classes: int, is_in_place: bool) -> Row | None:
    """The row, or None where a field is missing, of the wrong kind or out of range."""
    if not isinstance(value, dict) or set(value) - {"group"} != {"path", "label", "split", "sha256", "bytes"}:
        return None
    group = value.get("group")
    if "group" in value and not isinstance(group, str):
        return None
    path, label, size = value["path"], value["label"], value["bytes"]
    kinds = (type(path), type(label), type(size), type(value["sha256"]))
    if kinds != (str, int, int, str) or value["split"] not in SPLITS:
        return None
    if not (0 <= label < n_classes and size >= 0 and _SHA256.fullmatch(value["sha256"])):
        return None
    row = Row(path, label, value["split"], value["sha256"], size, group)
    return row if _is_inside(path, is_in_place) else None


def _is_inside(path: str, is_in_place: bool) -> bool:
    pure = PurePosixPath(path)
    if not path or "\0" in path or ".." in pure.parts:
        return False
    return is_in_place or not (pure.is_absolute() or Path(path).is_absolute())
