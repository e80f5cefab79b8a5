"""Do file names or folders say that images belong together? A warning with the command that keeps them so.

Never decided in silence: `frame_001` to `frame_090` may be one film, or ninety photographs that a camera numbered.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ...config.prepare import PrepareConfig
from ..files.visible import shown
from ..sources.same_again import same_again
from .checks import Picture

_FORMS = (
    re.compile(
        r"(?P<group>.*\d.*?)(?P<mark>[ _.-]+(?:[A-Za-z]{1,12}[ _.-]*)?|(?<=\d)[A-Za-z]{1,12}[ _.-]?|[ ]?\()\d{1,6}\)?"
    ),
    re.compile(r"(?P<group>.*\d)(?P<mark>[ _.-]+)[A-Za-z][^/]*|(?P<bare>.*\d)[A-Za-z]{1,12}"),
)
"""`clip03_frame_0012`, `patient7-2`, `p12 (3)`: a name with a number, then a number of its own for the image; and
`IMG_001_left`, `plot12b`: then letters."""
_AS_FIELDS = (
    r"{group:.*\d.*?}{:([ _.-]*[A-Za-z]*[ _.-]*|[ ]?\()\d+\)?}.*",
    r"{group:.*\d}{:[ _.-]*[A-Za-z][^/]*}",
)
"""The same as the last part of a --paths template, where names are not all of one make."""
_WORD_FORM = re.compile(r"(?P<group>[^\d]*[^\W\d_])(?P<mark>[ _.-]+)(?P<number>\d{1,6})")
_BEGIN_ANEW = 0.8
"""Of the words before numbers, as in `amy-1`: so many must have a number of their own to begin with."""
_SHARE = 0.5
"""Of all images: so many must share the start of their name with others for it to mean something."""
_BURST_SHARE = 0.2
_DATE = re.compile(r"(19|20)\d\d([ ._-]?\d\d){0,2}([ T._-].*)?|\d\d?[ ._-]\d\d?[ ._-](19|20)\d\d")
_COLUMN = "a column that says so, and --group-column, keep each in one split"
_GroupOf = Callable[[Picture], str | None]


def suggest_groups(pictures: Sequence[Picture], config: PrepareConfig, layout: str | None, warnings: list[str]) -> None:
    """Warn where images seem to belong together and nothing keeps them in one split.

    `layout` is the --paths template that the images of folders were read by; None for any other source.
    """
    if layout is not None and (level := _group_level(pictures, layout)) is not None:
        by_folder = _found(pictures, level.name_of)
        if (said := _of_given_splits(pictures, level.name_of)) is not None:
            warnings.append(
                f"the images of a class lie in folders of their own ({len(by_folder):,} folders, such as"
                f" {shown(by_folder[0], 60)}){said}. If each holds one patient, clip or product,"
                f" {_keeps(config, _template(layout, level.end))}"
            )
        return
    for form, fields in zip(_FORMS, _AS_FIELDS, strict=True):
        start = partial(_name_start, form)
        by_name = _found(pictures, start)
        if not by_name:
            continue
        if (said := _of_given_splits(pictures, start)) is not None:
            way = (
                _COLUMN
                if layout is None
                else _keeps(config, _template(layout, _name_template(pictures, form) or fields))
            )
            warnings.append(
                f"file names share numbered starts ({len(by_name):,} of them, such as '{shown(by_name[0], 60)}'){said}."
                f" If images of one start show one patient, clip or product, {way}"
            )
        break
    else:
        _suggest_words(pictures, config, layout, warnings)
    _suggest_bursts(pictures, config, warnings)


def _suggest_words(pictures: Sequence[Picture], config: PrepareConfig, layout: str | None, warnings: list[str]) -> None:
    """Warn of names such as `amy-1` to `amy-5` and `bob-1` to `bob-5`: numbers that begin anew for each word.

    Those of a camera, `IMG_0001` and `DSC_0001`, run on.
    """
    start = partial(_name_start, _WORD_FORM)
    words = _found(pictures, start, n_each=3)
    numbers: dict[str, set[int]] = defaultdict(set)
    for picture in pictures:
        if found := _WORD_FORM.fullmatch(_stem(picture)):
            numbers[found["group"]].add(int(found["number"]))
    begins = Counter(min(numbers[word]) for word in words)
    begin_anew = sum(max(numbers[word]) < min(numbers[word]) + 2 * len(numbers[word]) for word in words)
    if not words or min(begin_anew, max(begins.values())) < _BEGIN_ANEW * len(words):
        return
    said = _of_given_splits(pictures, start)
    if said is None:
        return
    field = _name_template(pictures, _WORD_FORM) or r"{group:.*[^\W\d_]}{:[ _.-]+\d+}.*"
    way = _COLUMN if layout is None else _keeps(config, _template(layout, field))
    warnings.append(
        f"file names share starts whose numbers begin anew ({len(words):,} of them, such as '{shown(words[0], 60)}')"
        f"{said}. If images of one start show one patient, clip or product, {way}"
    )


def _keeps(config: PrepareConfig, template: str) -> str:
    return f"`{same_again(config, '--paths', template)}` keeps each in one split"


@dataclass(frozen=True)
class _Level:
    """The folders at one depth below the class: `passed` others lie between, and `below` says whether more follow."""

    depth: int
    passed: int
    below: bool

    def name_of(self, picture: Picture) -> str | None:
        parts = picture.item.name.split("/")
        return parts[self.depth] if len(parts) > self.depth + 1 else None

    @property
    def end(self) -> str:
        return "*/" * self.passed + "{group}/" + ("**/*" if self.below else "*")


def _group_level(pictures: Sequence[Picture], layout: str) -> _Level | None:
    """The folders between the class and the file that seem to be one thing each; None where there are none.

    `ill/patient 3/left` has patients, not sides, and `benign/adenosis/case 12/40X` has cases: the outermost folders
    with numbers in their names that are no dates, else the innermost ones.
    """
    first = len(layout.split("/")) if layout.endswith("{class}") and "**" not in layout else None
    if first is None:
        return None
    last = max((picture.item.name.count("/") for picture in pictures), default=0)
    levels = [_Level(depth, depth - first, depth + 1 < last) for depth in range(first, last)]
    found = [level for level in levels if _found(pictures, level.name_of)]
    names = {level: {name for picture in pictures if (name := level.name_of(picture))} for level in found}
    lasting = [level for level in found if not all(map(_DATE.fullmatch, names[level]))] or found
    numbered = [
        level for level in lasting if 2 * sum(bool(re.search(r"\d", name)) for name in names[level]) > len(names[level])
    ]
    return next(iter(numbered or reversed(lasting)), None)


def _name_start(form: re.Pattern[str], picture: Picture) -> str | None:
    """The part of a file's name that others share, where what follows is its own."""
    found = form.fullmatch(_stem(picture))
    return (found["group"] or found.groupdict().get("bare")) if found else None


def _stem(picture: Picture) -> str:
    name = picture.item.name.replace("\\", "/").rpartition("/")[2]
    stem, _dot, suffix = name.rpartition(".")  # by hand: a path object for each of many names takes a second
    return stem if stem and suffix else name


def _found(pictures: Sequence[Picture], group_of: _GroupOf, n_each: int = 2) -> list[str]:
    """The groups, the largest first, where most images are in one with others and most classes have `n_each`."""
    groups = [group_of(picture) for picture in pictures]
    sizes = Counter(group for group in groups if group is not None)
    shared = sorted((group for group, n in sizes.items() if n > 1), key=lambda group: (-sizes[group], group))
    if sum(sizes[group] for group in shared) < _SHARE * len(pictures):
        return []
    of_class: dict[str, set[str | None]] = defaultdict(set)
    for picture, group in zip(pictures, groups, strict=True):
        of_class[picture.item.label].add(group if group is not None and sizes[group] > 1 else None)
    return shared if sum(len(found - {None}) >= n_each for found in of_class.values()) * 2 > len(of_class) else []


def _of_given_splits(pictures: Sequence[Picture], group_of: _GroupOf) -> str | None:
    """How many groups the given splits divide, as words; None where all images have one and no group is divided."""
    splits: dict[str, set[str | None]] = defaultdict(set)
    for picture in pictures:
        if (group := group_of(picture)) is not None:
            splits[group].add(picture.item.split)
    n = sum(len(found - {None}) > 1 for found in splits.values())
    if n:
        return f"; {n:,} of these are in more than one of the given splits"
    return "" if any(picture.item.split is None for picture in pictures) else None


def _template(layout: str, end: str) -> str:
    """--paths for the folders of classes of this layout, with another end."""
    lead, found, _end = layout.partition("{class}")
    return f"{lead}{found}/{end}"


def _name_template(pictures: Sequence[Picture], form: re.Pattern[str]) -> str:
    """The end of a template where all names have the same between the shared part and their own; else empty."""
    marks = {found["mark"] for picture in pictures if (found := form.fullmatch(_stem(picture)))}
    mark = marks.pop() if len(marks) == 1 else None
    is_plain = mark is not None and len(mark) > 1 and not re.search(r"[{}*?\\]", mark)
    return f"{{group}}{mark}*" if is_plain else ""


def _suggest_bursts(pictures: Sequence[Picture], config: PrepareConfig, warnings: list[str]) -> None:
    seconds = 3
    bursts = burst_pairs(pictures, seconds)
    n = len({i for pair in bursts for i in pair})
    if n < max(4, _BURST_SHARE * len(pictures)) or config.prepare.burst_seconds is not None:
        return
    warnings.append(
        f"{n:,} of {len(pictures):,} images were taken within {seconds} seconds of another by the same camera, as their"
        f" EXIF says: `{same_again(config, '--set', f'prepare.burst_seconds={seconds}')}` keeps such in one split"
    )


def burst_pairs(pictures: Sequence[Picture], seconds: float) -> list[tuple[int, int]]:
    """Pairs of pictures that one camera took within `seconds`, one after the other."""
    by_camera: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        if picture.header.taken is not None:
            by_camera[picture.header.camera].append((picture.header.taken, i))
    return [pair for shots in by_camera.values() for pair in _neighbours(sorted(shots), seconds)]


def _neighbours(shots: list[tuple[float, int]], seconds: float) -> Iterable[tuple[int, int]]:
    for (earlier, i), (later, j) in itertools.pairwise(shots):
        if later - earlier <= seconds:
            yield i, j
