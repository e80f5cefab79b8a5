"""Splits that stand in lists of names beside the images: `meta/train.txt`, `train_val_list.txt`, `labels/test1.txt`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...config.data import SplitName
from ...errors import Answer, ConfigError, DataError
from ..files.amounts import count
from ..files.regular import regular_bytes
from ..files.visible import shown
from ..manifest import SPLITS
from .image_finder import ImageFinder
from .listing import Listing
from .source import SourceRequest
from .split_words import split_word

FIELD = "{split}"
_SUFFIXES = frozenset({".txt", ".lst", ".list", ".csv", ".tsv", ".json"})
_DEEPEST = 4
_MOST_BYTES = 64 << 20
_NEARLY_ALL = 0.9
"""Of the names in a list: so many must be images, else it lists something else."""
_HALF = 0.5
_N_TRIED = 20
_N_ASKED = 5

_WORD = re.compile(
    r"(?<![a-z])(?:train[-_ ]?val|training|train|trn|validation|valid|val|dev|testing|test|tst)"
    r"(?=(?:list|files?|set|split|images?|imgs?|ids?|names?)?(?:[^a-z]|$))",
    re.IGNORECASE,
)
_CODED = re.compile(r"train_?test_?split|(eval_)?partition|setid", re.IGNORECASE)
"""Files that give splits as numbers, by names that they go by."""


def apply_split_lists(listing: Listing, root: Path, request: SourceRequest, files: Sequence[Path]) -> None:
    """Give the images of `listing` the splits that lists among `files` name, where there are such and no others.

    `files` are relative to `root`.

    Raises Question where lists divide the images in two ways, and for --split-lists ConfigError or DataError where no
    file is meant by it, or none of an image.
    """
    options = request.options
    if options.split_lists is None:
        is_settled = options.given_splits == "ignore" or any(item.split for item in listing.items)
        if is_settled or not listing.items:
            return
    groups = _grouped(root, files, options.split_lists)
    if not groups:
        _warn_of_codes(listing, files)
        return
    by_file = {item.file: place for place, item in enumerate(listing.items)}
    finder = ImageFinder([root])
    found: dict[str, dict[int, SplitName]] = {}
    for template, lists in groups.items():
        places = _places(lists, finder, by_file, is_asked=options.split_lists is not None)
        if places and (options.split_lists or _divides(places, len(listing.items))):
            found.setdefault(template, places)
    if options.split_lists is not None and not found:
        raise DataError(
            f"{root}: --split-lists {shown(options.split_lists, 80)}: no name in these files is that of an image",
            hint="each line names an image by its path or the end of it, with or without its suffix",
        )
    if found:
        _take(listing, found, root, request)
    else:
        _warn_of_codes(listing, files)


def _take(listing: Listing, found: Mapping[str, Mapping[int, SplitName]], root: Path, request: SourceRequest) -> None:
    distinct: dict[str, Mapping[int, SplitName]] = {}
    for template, places in found.items():
        if places not in distinct.values():
            distinct[template] = places
    if len(distinct) > 1:
        raise request.question(
            f"{root}: lists beside the images divide them in {len(distinct)} ways",
            [
                *(
                    Answer(f"as {template} says: {_counted(places)}", {"split_lists": template})
                    for template, places in list(distinct.items())[:_N_ASKED]
                ),
                Answer("anew, by the shares of --split, whatever the lists say", {"given_splits": "ignore"}),
            ],
        )
    [(template, places)] = distinct.items()
    listing.items = [dataclasses.replace(item, split=places.get(place)) for place, item in enumerate(listing.items)]
    listing.read_as["split_lists"] = template
    listing.places["split"] = f"lists {template}"
    n_open = len(listing.items) - len(places)
    if n_open:
        listing.notes.append(
            count(n_open, "image that stands in no list is", "images that stand in no list are") + " divided by --split"
        )


def _divides(places: Mapping[int, SplitName], n_images: int) -> bool:
    """Whether lists that nobody asked for say enough to be taken: two splits, and half of the images."""
    return len(set(places.values())) > 1 and len(places) >= _HALF * n_images


def _grouped(root: Path, files: Sequence[Path], asked: str | None) -> dict[str, list[tuple[SplitName, Path]]]:
    """Lists below `root` by the template that their names make, or those that fit `asked`. Raises ConfigError."""
    if asked is not None and asked.count(FIELD) != 1:
        raise ConfigError(f"--split-lists {shown(asked, 80)}: {FIELD} stands in it once, as in 'meta/{FIELD}.txt'")
    groups: dict[str, list[tuple[SplitName, Path]]] = defaultdict(list)
    pattern = re.escape(asked).replace(re.escape(FIELD), "(.+)") if asked is not None else ""
    for path in files:
        text = path.as_posix()
        if asked is not None:
            match = re.fullmatch(pattern, text)
            template, word = asked, match[1] if match else ""
        else:
            template, word = _template(path)
        split = _split_of(word)
        if split is not None:
            groups[template].append((split, root / path))
    if asked is not None and not groups:
        raise ConfigError(
            f"--split-lists {shown(asked, 80)}: no file below {root} is called so",
            hint=f"it is the path of a list below SOURCE with {FIELD} in place of train, val or test",
        )
    return {template: _without_unions(lists) for template, lists in sorted(groups.items())}


def _template(path: Path) -> tuple[str, str]:
    """The path with its split as a field, and that split's word; two empty texts where it is no list of one split."""
    words = list(_WORD.finditer(path.stem))
    if path.suffix.lower() not in _SUFFIXES or len(path.parts) > _DEEPEST or len(words) != 1:
        return "", ""
    [word] = words
    name = path.name[: word.start()] + FIELD + path.name[word.end() :]
    return path.with_name(name).as_posix(), word[0]


def _split_of(word: str) -> SplitName | None:
    if re.fullmatch(r"train[-_ ]?val", word, re.IGNORECASE):
        return "train"
    found = split_word(word) if word else None
    return found.split if found else None


def _without_unions(files: Sequence[tuple[SplitName, Path]]) -> list[tuple[SplitName, Path]]:
    """Without `trainval` where `val` has a list of its own: it holds the others'."""
    if not any(split == "val" for split, _ in files):
        return list(files)
    return [(s, path) for s, path in files if not re.search(r"train[-_ ]?val", path.stem, re.IGNORECASE)]


def _places(
    files: Sequence[tuple[SplitName, Path]], finder: ImageFinder, by_file: Mapping[Path, int], *, is_asked: bool
) -> dict[int, SplitName]:
    """The split of each image that the lists name; empty where they name other things, or an image twice."""
    places: dict[int, SplitName] = {}
    for split, path in files:
        names = _names(path)
        if not names:
            continue
        first = [_place(name, finder, by_file) for name in names[:_N_TRIED]]
        if not is_asked and sum(place is not None for place in first) < _NEARLY_ALL * len(first):
            return {}
        found = [place for name in names if (place := _place(name, finder, by_file)) is not None]
        if not is_asked and len(found) < _NEARLY_ALL * len(names):
            return {}
        for place in found:
            if places.setdefault(place, split) != split:
                if is_asked:
                    raise DataError(
                        f"{path}: an image of {split} stands in the list of {places[place]} too",
                        hint="say which lists are meant: `--split-lists` takes one name of files",
                    )
                return {}
    return places


def _place(name: str, finder: ImageFinder, by_file: Mapping[Path, int]) -> int | None:
    """Of the image that a line means: by all of it, else by what stands before the first tab, comma or blank."""
    for text in dict.fromkeys((name, re.split(r"[\t,;]", name)[0].strip(' "'), name.split(maxsplit=1)[0])):
        found = finder.look(text)
        if isinstance(found, Path) and found in by_file:
            return by_file[found]
    return None


def _names(path: Path) -> list[str]:
    """The lines of a list, or the texts in a JSON of lists; empty where it cannot be one."""
    if path.suffix.lower() != ".json":
        return lines_of(path)
    try:
        return list(_texts(json.loads(_text(path))))
    except (OSError, ValueError, RecursionError):
        return []


def lines_of(path: Path) -> list[str]:
    """The lines of a text, without empty ones and comments; none of what is too large to be a list."""
    try:
        return [line.strip() for line in _text(path).splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return []


def _text(path: Path) -> str:
    return regular_bytes(path, _MOST_BYTES).decode("utf-8-sig", "replace")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)


def _counted(places: Mapping[int, SplitName]) -> str:
    counts = Counter(places.values())
    return ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])


def _warn_of_codes(listing: Listing, files: Sequence[Path]) -> None:
    """Say that a file may give splits in a way that is not read."""
    named = [path.as_posix() for path in files if _CODED.fullmatch(_bare(path.stem))]
    if named:
        listing.warnings.append(
            f"{shown(named[0], 60)} may say which images are for training and which for test, in numbers that are not"
            " read: the splits are chosen anew; `--split-lists` takes lists of names"
        )


def _bare(stem: str) -> str:
    return stem.removeprefix("list_").removesuffix("s")
