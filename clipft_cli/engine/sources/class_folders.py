"""Class folders: which level of them names the classes, and what beside their images is none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..files.visible import shown
from ..labels.alike import as_read
from .name_patterns import class_in_names
from .numbered_things import things_with_classes
from .shape import IMAGE_FOLDERS, Folder, is_mask_folder, mask_marks, without_masks
from .split_words import NUMBERED
from .template import literal

_WORDS = re.compile(r"(\d+[ ._-]*)?[^\W\d_][^\d]+")
"""A name that says something: a number may stand in front of it, but none in it."""
N_VARIANTS = 4


@dataclass(frozen=True)
class Layout:
    """One way to read a tree: its template, and what that makes of the folders. One that is not `is_sure` is asked
    about, even where there is no other; `settings` are keys of `prepare` that it takes beside the template."""

    template: str
    words: str
    is_sure: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)


def by_classes(prefix: str, base: Folder) -> list[Layout]:
    kids = without_masks(base.full())
    if not kids or (len(kids) == 1 and len(base.full()) > 1 and kids[0].name.casefold() in IMAGE_FOLDERS):
        return []
    plain = class_layout(prefix, kids)
    if len(kids) == 1 and not kids[0].full() and (pattern := class_in_names(kids[0].images)):
        in_names = f"{prefix}{literal(kids[0].name)}/{pattern.template}"
        return [Layout(in_names, f"the names of files in {shown(kids[0].name, 40)} {pattern.words}", False), plain]
    deep = [kid for kid in kids if not kid.images and len(kid.full()) > 1]
    if len(deep) == len(kids) > 1 and _share(deep):
        single = [
            Layout(
                f"{prefix}{literal(kid.name)}/{{class}}{mask_tail(kid.full())}",
                f"{shown(kid.name, 40)} alone, without the others: classes are {named(k.name for k in kid.full())}",
            )
            for kid in kids[:N_VARIANTS]
        ]
        together = [variants_together(prefix, kids), *([_grouped(prefix, kids)] if len(kids) > 2 else [])]
        return [*_numbered_splits(prefix, kids), *together, *single, plain, *_grouped_inside(prefix, kids)]
    if len(kids) == 2 and len(deep) == 1 and not (other := next(kid for kid in kids if kid is not deep[0])).full():
        words = f"classes are {named(kid.name for kid in deep[0].full())}; {shown(other.name, 40)} ({images([other])})"
        return [Layout(f"{prefix}{literal(deep[0].name)}/{{class}}", words + " is left out"), plain]
    return [plain, *by_things(prefix, kids), *_by_folders_inside(prefix, kids)]


def by_things(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The readings of class folders, or of what seemed to be some, as patients or clips with classes inside."""
    return [
        Layout(
            f"{prefix}{'*/' * depth}{{group}}/{field}",
            f"classes are {named(classes)}, and images of one of {named(one.name for one in things)} belong together",
        )
        for depth, things, field, classes in things_with_classes(kids)
    ]


def _grouped(prefix: str, kids: Sequence[Folder]) -> Layout:
    inside = [kid for folder in kids for kid in folder.full()]
    words = f"classes are {named(k.name for k in inside)}, and images of one of {named(kid.name for kid in kids)}"
    return Layout(f"{prefix}{{group}}/{{class}}{mask_tail(inside)}", f"{words} belong together (a patient, a place)")


def _grouped_inside(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The reading of the outer folders as classes, each with the same places or people inside."""
    inside = dict.fromkeys(kid.name for folder in kids for kid in folder.full())
    words = f"classes are {named(kid.name for kid in kids)}, and images of one of {named(inside)} belong together"
    return [Layout(f"{prefix}{{class}}/{{group}}", words)] if len(inside) > 2 and not mask_tail(kids) else []


def _numbered_splits(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The reading of folders 0, 1 and 2 with the same classes, or inside of each class, as train, val and test."""
    inside = [kid for folder in kids for kid in folder.full()]
    said = ", ".join(f"{number} is {split}" for number, split in NUMBERED.items())
    if all({kid.name for kid in folder.full()} == NUMBERED.keys() for folder in kids):
        return [Layout(prefix + "{class}/{split}", f"{said}; classes are {named(kid.name for kid in kids)}")]
    if {kid.name for kid in kids} != NUMBERED.keys():
        return []
    return [
        Layout(
            f"{prefix}{{split}}/{{class}}{mask_tail(inside)}", f"{said}; classes are {named(k.name for k in inside)}"
        )
    ]


def _by_folders_inside(prefix: str, kids: Sequence[Folder]) -> list[Layout]:
    """The readings of class folders that hold nothing but folders whose names may be those of classes.

    `animals/cats` and `vehicles/cars` are, `ill/patient 3` is not: the names of a series are no classes.
    """
    levels, inside, depth = {}, list(kids), 0
    while all(not kid.images and kid.full() for kid in inside):
        below = [folder for kid in inside for folder in without_masks(kid.full())]
        is_one_each = len(below) == len(inside)  # such as `SOB` in `benign/SOB/adenosis`: a step on the way
        if not is_one_each and not _are_words(folder.name for folder in below):
            break
        inside, depth = below, depth + 1
        if not is_one_each:
            levels[depth] = inside
    if not levels:
        return []
    layouts = [
        Layout(prefix + "*/" * depth + "{class}" + mask_tail(folders), f"classes are {named(f.name for f in folders)}")
        for depth, folders in levels.items()
    ]
    things = [folder for kid in inside for folder in kid.full() if not kid.images]
    numbered = [folder for folder in things if re.search(r"\d", folder.name)]
    is_of_things = len(things) > len(inside) and 2 * len(numbered) > len(things)
    between = depth if is_of_things else min(levels) - 1
    one = f"one of {named(folder.name for folder in things)}" if is_of_things else "one folder inside"
    words = f"classes are {named(kid.name for kid in kids)}, and images of {one} belong together"
    return [*layouts, Layout(f"{prefix}{{class}}/{'*/' * between}{{group}}", words)]


def _are_words(names: Iterable[str]) -> bool:
    """Whether names of folders may be those of classes: not of images, and not numbers, dates or a series."""
    distinct = {as_read(name) for name in names}
    return not distinct <= IMAGE_FOLDERS and 2 * sum(bool(_WORDS.fullmatch(name)) for name in distinct) > len(distinct)


def _share(folders: Sequence[Folder]) -> bool:
    """Whether half of all names inside stand in more than one of the folders.

    Images and masks are no classes, and neither are the numbers of one thing: `patient 1`, `patient 2`.
    """
    insides = [[kid.name.casefold() for kid in without_masks(folder.full())] for folder in folders]
    if all(set(inside) <= IMAGE_FOLDERS for inside in insides):
        return False
    counts = Counter(name for inside in insides for name in set(map(as_read, inside)))
    series = {re.sub(r"\d+", "", name) for name in counts}
    if len(series) == 1 and any(char.isalpha() for char in series.pop()):
        return False
    return 2 * sum(n > 1 for n in counts.values()) >= len(counts)


def variants_together(prefix: str, kids: Sequence[Folder]) -> Layout:
    inside = [kid for folder in kids for kid in folder.full()]
    words = f"classes are {named(kid.name for kid in inside)}, those of {named(kid.name for kid in kids)} together"
    return Layout(f"{prefix}*/{{class}}{mask_tail(inside)}", words)


def class_layout(prefix: str, kids: Sequence[Folder]) -> Layout:
    return Layout(prefix + "{class}" + mask_tail(kids), f"classes are {named(kid.name for kid in kids)}")


def mask_tail(kids: Sequence[Folder]) -> str:
    """What follows the class in a template: nothing, or what keeps the masks beside images out."""
    folders = {inside.name for kid in kids for inside in kid.full() if _holds_masks(inside, kid)}
    marks = {mark for kid in kids for mark in mask_marks(kid)}
    if not folders and not marks:
        return ""
    others = {inside.name for kid in kids for inside in kid.full()} - folders
    if len(others) == 1 and not marks and not any(kid.images for kid in kids):
        return f"/{literal(others.pop())}/**"
    denied = [re.escape(name) + "/" for name in sorted(folders)]
    if marks:
        denied.append(rf".*(?:{'|'.join(map(re.escape, sorted(marks)))})(?:[ _-]?\d+)?\.[^/.]+$")
    return "/{:(?!" + "|".join(denied) + ").+}"


def _holds_masks(folder: Folder, above: Folder) -> bool:
    """Whether a folder in a class folder holds masks of the images beside it: by its name, and the names of files."""
    if not is_mask_folder(folder.name):
        return False
    if any(kid.name.casefold() in IMAGE_FOLDERS for kid in above.full()):
        return True
    stems = {name.rpartition(".")[0] for name in above.images}
    own = [re.sub(r"[ _-](mask|seg|gt|label)$", "", name.rpartition(".")[0], flags=re.I) for name in folder.images]
    return bool(own) and 2 * sum(stem in stems for stem in own) >= len(own)


def named(names: Iterable[str], n: int = 5) -> str:
    distinct = list(dict.fromkeys(names))
    more = f", ... ({len(distinct)})" if len(distinct) > n else ""
    return ", ".join(shown(name, 40) for name in distinct[:n]) + more


def images(folders: Sequence[Folder]) -> str:
    return f"{sum(folder.total for folder in folders):,} images"
