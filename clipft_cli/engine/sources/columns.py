"""Which columns of a table count: those asked for, else those whose names and cells leave one reading only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import Answer, ConfigError, DataError, Question
from ..files.visible import shown
from ..labels.alike import is_number
from ..tables.cells import ManyLabels, file_text, label_text, mark
from ..tables.table import Table
from .column_words import FOLD, IMAGE, IMAGE_PERHAPS, LABEL, LABEL_PERHAPS, SPLIT_ONLY, is_called, plain
from .column_words import FOLDER as FOLDERS
from .group_columns import group_columns
from .holdout import read_holdout
from .image_finder import SEVERAL, ImageFinder, Unfound
from .source import SourceRequest
from .split_column import SplitColumn, is_split_name, read_split_column

NONE = "none"
FOLDER = "the folder of each image"
_N_TRIED = 20
_MAX_FOLDS = 20
_N_SHOWN = 20
_N_WAYS = 5


@dataclass(frozen=True)
class Columns:
    """The columns that count. `label` is empty where the class is the folder of the image, and holds several names
    where each is a class and one of them is 1 in every row."""

    image: str
    label: tuple[str, ...]
    split: SplitColumn | None
    group: str | None
    folder: str | None = None

    def used(self) -> str:
        """What was understood, in words."""
        parts = [f"image: {self.image}", f"class: {', '.join(map(_short, self.label[:8])) or FOLDER}"]
        parts += (
            [f"split: {self.split.name}" + (f" ({self.split.how})" if self.split.how else "")] if self.split else []
        )
        parts += [f"group: {self.group}"] if self.group else []
        return ", ".join(parts)

    def as_options(self) -> dict[str, str]:
        """The keys of `prepare` that ask for these columns."""
        return {
            "image_column": self.image,
            "label_column": ",".join(self.label) or NONE,
            "split_column": self.split.name if self.split else NONE,
            "group_column": self.group or NONE,
        }

    def places(self) -> dict[str, str]:
        """For class, split and group: the column that holds it."""
        found = {"class": ", ".join(map(_short, self.label[:8])), "split": self.split.name if self.split else ""}
        found["group"] = self.group or ""
        columns = {name: f"column {column}" for name, column in found.items() if column}
        return columns if self.label else {"class": FOLDER, **columns}


def _short(name: str) -> str:
    return shown(name, 40)


class ColumnChoice:
    """The choice for one table. `notes` and `warnings` say what a person should know of it."""

    def __init__(self, place: str, table: Table, request: SourceRequest, finder: ImageFinder) -> None:
        self.place, self.table, self.finder = place, table, finder
        self.request, self.options, self.again = request, request.options, request.again
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def columns(self) -> Columns:
        """The columns. Raises ConfigError for one asked for that is not there or where none is known, DataError where
        there are two readings."""
        image = self._image()
        split = self._split([name for name in self.table.names if name != image])
        rest = [name for name in self.table.names if name not in (image, split.name if split else None)]
        label = self._label(image, rest)
        group = self._asked("group_column", rest)
        if group is None and self.options.group_column is None:
            self._suggest_groups([name for name in rest if name not in label])
        if split is None:
            self._suggest_folds([name for name in rest if name not in label])
        folder = next((name for name in rest if is_called(name, FOLDERS) and name not in label), None)
        return Columns(image, label, split, group, folder)

    # what was asked for

    def _asked(self, key: str, names: Sequence[str]) -> str | None:
        """The column that an option names; None where it names none."""
        asked = getattr(self.options, key)
        if asked is None or (asked == NONE and NONE not in names):
            return None
        same = [name for name in names if name == asked] or [name for name in names if plain(name) == plain(asked)]
        if len(same) == 1:
            return same[0]
        raise self._unknown(f"has no column '{shown(asked, 40)}'")

    def _unknown(self, problem: str) -> ConfigError:
        names = ", ".join(_short(name) for name in self.table.names[:_N_SHOWN])
        first = next(iter(islice(self.table.read(self.table.names[:_N_SHOWN]), 1)), None)
        cells = ", ".join(shown(_cell_text(cell), 40) for cell in first.cells) if first else ""
        where = " (a first line `image,label` would name them)" if not self.table.has_header else ""
        return ConfigError(
            f"{self.place}: {problem}; columns: {names}{where}; {first.place if first else 'no row'}: {cells}",
            hint="name the columns with `--image-column NAME --label-column NAME`",
        )

    def _two_ways(self, what: str, key: str, names: Sequence[str]) -> Question:
        answers = [
            Answer(f"column {_short(name)}, which holds {shown(_cell_text(self.table.first(name)), 40)}", {key: name})
            for name in names[:_N_WAYS]
        ]
        return self.request.question(f"{self.place}: {what}: {', '.join(map(_short, names[:_N_WAYS]))}", answers)

    # images

    def _image(self) -> str:
        if self.options.image_column == NONE and NONE not in self.table.names:
            raise self._unknown("a table without a column for the image tells nothing (--image-column none)")
        asked = self._asked("image_column", self.table.names)
        if asked is not None:
            return asked
        called = [name for name in self.table.names if is_called(name, IMAGE)]
        perhaps = [name for name in self.table.names if is_called(name, IMAGE_PERHAPS) and name not in called]
        taken = (*called, *perhaps)
        others = [name for name in self.table.names if name not in taken and not is_called(name, LABEL | LABEL_PERHAPS)]
        for names in (called, perhaps, others):
            found = {name: images for name in names if (images := self._images(name))}
            most = [name for name in found if len(found[name]) == max(map(len, found.values()))]
            if len({tuple(found[name]) for name in most}) > 1:
                raise self._two_ways("more than one column names images", "image_column", most)
            if most:
                return most[0]
        if called:
            return called[0]  # its images are not there, which is said for each row
        first = next(iter(self.table.read(self.table.names)), None)
        if first and any(isinstance(cell, str) and cell.startswith(("http://", "https://")) for cell in first.cells):
            raise self._unknown(
                "its images are web addresses, which are not fetched: download them, and name the files"
            )
        raise self._unknown("no column is known to hold the image")

    def _images(self, name: str) -> list[object]:
        """The images that the first cells of a column name."""
        cells = self.table.sample(name)[:_N_TRIED]
        return [image for cell in cells if (image := self._image_of(cell)) is not None]

    def _image_of(self, cell: Any) -> object | None:
        if isinstance(cell, Mapping):
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, bytes | bytearray):
            return hash(bytes(cell)) if len(cell) > 64 else None
        text = file_text(cell)
        found = self.finder.look(text) if text else None
        return (
            text
            if isinstance(found, Unfound) and found.reason == SEVERAL
            else found
            if isinstance(found, Path)
            else None
        )

    # splits and groups

    def _split(self, names: Sequence[str]) -> SplitColumn | None:
        if self.options.holdout_column:
            return read_holdout(self.place, self.table, self.request)
        asked = self._asked("split_column", names)
        if asked is not None:
            found = read_split_column(self.table, asked)
            if not found.is_of_splits:
                raise DataError(
                    f"{self.place}: column '{_short(asked)}' holds no splits: {found.examples() or 'nothing'}",
                    hint=f"`{self.again('--split-column', NONE)}` divides the images anew",
                )
        elif self.options.split_column is not None:
            return None
        else:
            guessed = self._guessed_split(names)
            if guessed is None:
                return None
            found = guessed
        if found.is_mixed:
            raise DataError(
                f"{self.place}: column '{_short(found.name)}' holds splits, and others: {found.examples()}",
                hint=f"`{self.again('--split-column', NONE)}` divides all images anew;"
                " or write train, val or test for them, or nothing for clipft to decide",
            )
        return found

    def _guessed_split(self, names: Sequence[str]) -> SplitColumn | None:
        for name in (name for name in names if is_split_name(name)):
            found = read_split_column(self.table, name)
            if found.is_of_splits:
                return found
            if is_called(name, SPLIT_ONLY) and found.is_numbered:
                raise DataError(
                    f"{self.place}: column '{_short(name)}' sounds like splits, and holds numbers: {found.examples()}",
                    hint=f"`{self.again('--split-column', NONE)}` divides the images anew;"
                    " or write train, val or test in place of the numbers",
                )
            if found.unknown:
                self.notes.append(f"column '{_short(name)}' holds no splits and is not used: {found.examples()}")
        for name in (name for name in names if not is_called(name, LABEL)):
            found = read_split_column(self.table, name)
            if not found.unknown and {"train", "test"} <= set(found.words.values()) and not found.how:
                return found
        return None

    def _suggest_groups(self, names: Sequence[str]) -> None:
        columns = {name: [_cell_text(cell) for cell in self.table.column(name)] for name in names}
        for name, n in group_columns(columns).items():
            self.warnings.append(
                f"column '{_short(name)}' sounds like images that belong together ({n:,} values in"
                f" {len(columns[name]):,} rows); `{self.again('--group-column', name)}` keeps them in one split,"
                f" `--group-column none` says that they do not"
            )

    def _suggest_folds(self, names: Sequence[str]) -> None:
        for name in (name for name in names if is_called(name, FOLD)):
            cells = sorted({_cell_text(cell) for cell in self.table.column(name)} - {""})
            if 1 < len(cells) <= _MAX_FOLDS:
                first = self.again("--holdout-column", f"{name}={cells[0]}")
                self.notes.append(
                    f"column '{_short(name)}' sounds like folds of a cross-validation ({len(cells)} values), and is not"
                    f" used: `{first}` takes one as the test split"
                )

    # classes

    def _label(self, image: str, names: Sequence[str]) -> tuple[str, ...]:
        asked = self.options.label_column
        if asked == NONE and NONE not in names:
            return ()
        if asked is not None and "," in asked and asked not in names:
            return tuple(self._asked_of(part.strip(), names) for part in asked.split(","))
        named = self._asked("label_column", names)
        if named is not None:
            return (named,)
        label = LabelChoice(self, image, names).label()
        self._refuse_twins(label, names)
        return label

    def _refuse_twins(self, label: Sequence[str], names: Sequence[str]) -> None:
        """Raises the Question of a header that has the class's name twice, over columns that differ."""
        first = label[0] if len(label) == 1 else ""
        twins = [name for name in names if re.fullmatch(rf"{re.escape(first)} \(\d+\)", name)]
        differing = [name for name in twins if self._texts(name) != self._texts(first)]
        if differing:
            what = f"the header has {_short(first)} {len(twins) + 1} times, over columns that differ"
            raise self._two_ways(what, "label_column", [first, *differing])

    def _texts(self, name: str) -> list[str]:
        return [_cell_text(cell) for cell in self.table.column(name)]

    def _asked_of(self, name: str, names: Sequence[str]) -> str:
        if name not in names:
            raise self._unknown(f"has no column '{shown(name, 40)}'")
        return name


class LabelChoice:
    """Which column, or which columns, hold the class, where nobody says it."""

    def __init__(self, choice: ColumnChoice, image: str, names: Sequence[str]) -> None:
        self.choice, self.table, self.image, self.names = choice, choice.table, image, names
        self._texts: dict[str, list[str]] = {}

    def label(self) -> tuple[str, ...]:
        """The columns. Raises ConfigError where none is known, DataError where there are several."""
        for words in (LABEL, LABEL_PERHAPS):
            called = [name for name in self.names if is_called(name, words) and any(self.texts(name))]
            if called:
                return (self._of_one_meaning(called),)
        if marks := self._marks():
            return marks
        ending = [name for name in self.names if _ends_as_a_class(name) and any(self.texts(name))]
        if ending:
            return (self._of_one_meaning(ending),)
        likely = [name for name in self.names if self._divides(name)]
        if not likely and len(self.names) == 1 and not self._holds_measures(self.names[0]):
            likely = list(self.names)
        if len(likely) == 1:
            return (likely[0],)
        if len(likely) > 1:
            raise self.choice._two_ways("more than one column may hold the class", "label_column", likely)
        if self._folders_divide():
            return ()
        raise self.choice._unknown("no column is known to hold the class")

    def texts(self, name: str) -> list[str]:
        """The cells of a column as labels; empty where there is none."""
        if name not in self._texts:
            self._texts[name] = [_cell_text(cell) for cell in self.table.column(name)]
        return self._texts[name]

    def _of_one_meaning(self, names: Sequence[str]) -> str:
        """The one to take of columns that divide the rows alike: words before numbers."""
        of_words = [name for name in names if not all(is_number(text) for text in self.texts(name) if text)]
        best = (of_words or list(names))[0]
        others = [name for name in names if not self._divide_alike(best, name)]
        if others:
            raise self.choice._two_ways("more than one column may hold the class", "label_column", [best, *others])
        if best not in of_words:
            for name in self.names:
                has_words = is_called(name, LABEL_PERHAPS) or plain(name) in ("name", "title", "description")
                if has_words and self._divide_alike(best, name) and not all(map(is_number, self.texts(name))):
                    return name
        return best

    def _divide_alike(self, a: str, b: str) -> bool:
        pairs = set(zip(self.texts(a), self.texts(b), strict=True))
        return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})

    def _divides(self, name: str) -> bool:
        """Whether a column has values that come back, and are no measures."""
        texts = [text for text in self.texts(name) if text]
        return 2 <= len(set(texts)) <= len(texts) // 2 and not self._holds_measures(name)

    def _holds_measures(self, name: str) -> bool:
        """Whether most cells are numbers with a fraction, which no class is."""
        texts = [text for text in self.texts(name) if text]
        return sum(is_number(text) and not _is_whole(text) for text in texts) > len(texts) // 2

    def _marks(self) -> tuple[str, ...]:
        """Columns of which each is a class: all cells 0 or 1."""
        marks = tuple(name for name in self.names if self._is_mark(name))
        if len(marks) < 2:
            return ()
        rows = zip(*(self.texts(name) for name in marks), strict=True)
        sums = [sum(mark(text) is True for text in row) for row in rows]
        several = sum(n > 1 for n in sums)
        if several:
            raise DataError(
                f"{self.choice.place}: {several:,} of {len(sums):,} rows have more than one class"
                f" (a 1 in several of {', '.join(map(_short, marks[:8]))})",
                hint="clipft learns one class an image: keep the rows with one, or name the column of one class"
                " with --label-column",
            )
        return marks if sum(sums) >= len(sums) // 2 else ()

    def _is_mark(self, name: str) -> bool:
        texts = set(self.texts(name))
        if texts <= {"1", "-1"}:  # as CelebA writes yes and no; beside a 0, a -1 means that nobody is sure
            return bool(texts)
        return None not in map(mark, texts)

    def _folders_divide(self) -> bool:
        cells = [
            file_text(cell) or "" for cell in self.table.sample(self.image) if not isinstance(cell, Mapping | bytes)
        ]
        folders = [cell.replace("\\", "/").rpartition("/")[0] for cell in cells]
        return len(set(folders)) > 1 and all(folders)


def _ends_as_a_class(name: str) -> bool:
    """Whether the last word of a name is one for a class: `Finding Labels`, `dog_breed`."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return len(words) > 1 and is_called(words[-1], LABEL)


def _is_whole(number: str) -> bool:
    return float(number.replace(",", ".")).is_integer()


def _cell_text(cell: Any) -> str:
    """A cell as text, for counting and showing."""
    if isinstance(cell, bytes | bytearray) and len(cell) > 64:
        return f"{len(cell):,} bytes"
    try:
        return label_text(cell) or ""
    except ManyLabels as error:
        return str(error.args[0])
