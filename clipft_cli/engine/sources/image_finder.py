"""The file that a table means: as it is written, or the only one whose name and folders agree with it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ..files.pictures import image_suffixes
from ..files.visible import shown
from .tree import is_image_like, walk

NOT_FOUND = "file not found"
SEVERAL = "could be several files"
_SAME_SUFFIX = {".jpeg": ".jpg", ".jpe": ".jpg", ".tiff": ".tif"}
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")


@dataclass(frozen=True)
class Unfound:
    """Why a text means no file: `reason` is the same for all of its kind, `detail` this one's."""

    reason: str
    detail: str


class ImageFinder:
    """Finds files below `roots`. Texts are tried as they stand first, so a table that is right costs no search.

    Else the folders below the roots are listed once, and a file is taken whose path ends as the text does, or that
    ends the text (a path of another machine), where only one does: with `/` for a backslash, whatever Unicode form,
    then whatever letter case, then with a suffix where the text has none, then with zeros in front of its number.
    Of several files, one that `prefers` says is the one.
    """

    def __init__(
        self, roots: Sequence[Path], inside: Path | None = None, prefers: Callable[[Path], bool] = lambda file: False
    ) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self.n_searched = 0
        self._n_searches = 0
        self._prefers = prefers
        self._inside = inside.resolve() if inside else None
        self._by_stem: dict[str, list[Path]] | None = None
        self._meant_by: dict[Path, str] = {}

    def find(self, text: str) -> Path | Unfound:
        """The file, or why there is none."""
        if "://" in text and not text.startswith("file://"):
            return Unfound("a web address, not a file", shown(text, 120))
        before = self._n_searches
        found = self.look(text)
        if isinstance(found, Path):
            # a path of another machine may be cut to a name that several of its folders hold
            first = self._meant_by.setdefault(found, text)
            was_searched = self._n_searches > before
            self.n_searched += was_searched
            if first != text and was_searched:
                return Unfound("a file that another row names already", f"{shown(text, 60)}: {shown(first, 60)}")
        return found

    def look(self, text: str) -> Path | Unfound:
        """As `find`, whatever other texts mean."""
        try:
            for root in self.roots:
                for written in dict.fromkeys((text, _slashed(text))):
                    if (root / written).is_file():
                        return self._taken(root / written, text)
            found = self._search(_slashed(text))
            for other in (_without_upload(text), unquote(_slashed(text))):  # `a%20b.jpg` of a web address is `a b.jpg`
                if isinstance(found, Unfound) and found.reason == NOT_FOUND and other != text:
                    found = self._search(other)
            return found
        except (OSError, ValueError):  # a name too long, or with a NUL byte
            return Unfound(NOT_FOUND, shown(text, 120))

    def _taken(self, file: Path, text: str) -> Path | Unfound:
        is_inside = self._inside is None or file.resolve().is_relative_to(self._inside)
        return file if is_inside else Unfound("outside the archive", shown(text, 120))

    def _search(self, text: str) -> Path | Unfound:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            return Unfound(NOT_FOUND, shown(text, 120))
        has_suffix = _without_suffix(parts[-1]) != parts[-1]
        for key in (_composed, _folded, *(() if has_suffix else (_stemmed, _counted))):
            matches = self._matches(parts, key)
            if len(matches) > 1:
                preferred = [file for file in matches if self._prefers(file)]
                matches = preferred if len(preferred) == 1 else matches
            if len(matches) > 1:
                examples = " and ".join(shown(str(file), 60) for file in matches[:2])
                return Unfound(SEVERAL, f"{shown(text, 60)}: {examples}")
            if matches:
                self._n_searches += 1
                return matches[0]
        return Unfound(NOT_FOUND, shown(text, 120))

    def _matches(self, parts: Sequence[str], key: Callable[[str], str]) -> list[Path]:
        """Files whose last folders and name are those of `parts`, as far as `key` looks at them."""
        wanted = _keys(parts, key)
        found = []
        for file in self._files_called(parts[-1]):
            own = next(file.relative_to(root).parts for root in self.roots if file.is_relative_to(root))
            have = _keys(own, key)
            shorter = min(len(have), len(wanted))
            if have[-shorter:] == wanted[-shorter:]:
                found.append(file)
        return found

    def _files_called(self, name: str) -> Iterable[Path]:
        if self._by_stem is None:
            self._by_stem = defaultdict(list)
            for root in self.roots:
                for path in walk(root).files:
                    if is_image_like(path):
                        self._by_stem[_counted(path.name)].append(root / path)
        return dict.fromkeys(self._by_stem.get(_counted(name), ()))


def _slashed(text: str) -> str:
    """A path of Windows, or one written as a web address, as a path."""
    path = unquote(text.removeprefix("file://")) if text.startswith("file://") else text
    return _DRIVE.sub("", path.replace("\\", "/")) if "\\" in path else path


def _without_upload(text: str) -> str:
    """A path that Label Studio's server gave: `/data/upload/3/0a1b2c3d-cat.jpg` or `/data/local-files/?d=cat.jpg`."""
    local = text.partition("/data/local-files/?d=")[2]
    if local:
        return unquote(local)
    return re.sub(r"^.*/data/upload/(\d+/)?([0-9a-f]{8}-)?", "", f"/{text}") if "data/upload/" in text else text


def _keys(parts: Sequence[str], key: Callable[[str], str]) -> list[str]:
    of_folders = _composed if key is _composed else _folded
    return [*map(of_folders, parts[:-1]), key(parts[-1])]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    folded = _composed(name).casefold()
    stem, dot, suffix = folded.rpartition(".")
    return stem + _SAME_SUFFIX.get(dot + suffix, dot + suffix) if stem else folded


def _stemmed(name: str) -> str:
    """The name without its suffix, in one letter case."""
    return _folded(_without_suffix(name))


def _counted(name: str) -> str:
    """As `_stemmed`; a number without the zeros in front, which a spreadsheet takes away."""
    stem = _stemmed(name)
    return stem.lstrip("0") or "0" if stem.isdigit() else stem


def _without_suffix(name: str) -> str:
    """The name without the suffix of a picture; other dots belong to it."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in image_suffixes() else name
