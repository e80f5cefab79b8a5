"""The ways in which a tree of folders can be read: what its folders are, by their names and by what lies below them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...config.data import SplitName
from ..files.visible import shown
from ..labels.alike import as_read
from .class_folders import (
    N_VARIANTS,
    Layout,
    by_classes,
    by_things,
    class_layout,
    images,
    mask_tail,
    named,
    variants_together,
)
from .folders_beside import split_beside_classes
from .joined_words import split_and_class_in_one, splits_in_file_names
from .name_patterns import class_in_names
from .shape import IMAGE_FOLDERS, Folder, inner, without_masks
from .split_words import WORDS, SplitWord, split_word
from .template import literal

_AGREES = 0.5
"""Share of a split's classes that train must have; folders named like splits that have others may be classes."""
_UNLABELLED = re.compile(r"unlabell?ed|unsup\w*|pred\w*|infer\w*|submission|meta|samples?|preview|examples?|demo", re.I)
_NO_CLASS = frozenset("unknown all data none dummy mixed misc any class classes folder x _".split())  # noqa: SIM905
"""Names, in small letters, of a folder that is only there because a loader wants one."""


@dataclass(frozen=True)
class _Part:
    """A folder named like a split: the folders passed on the way to its class folders, and these."""

    folder: Folder
    word: SplitWord
    passed: list[Folder]
    kids: list[Folder]
    above: tuple[Folder, ...] = ()
    """The split that it lies in, where it is one inside another: `train/val`."""

    @property
    def split(self) -> SplitName | None:
        return self.word.split

    def classes(self) -> set[str]:
        return {as_read(kid.name) for kid in self.kids}

    def agrees(self, train: set[str]) -> bool:
        """Whether its classes are those of train; one folder that is none of them holds unlabelled images."""
        own = self.classes()
        return len(own) == 1 or len(own & train) >= _AGREES * len(own)


def layouts(root: Folder) -> list[Layout]:
    """Every way to read a tree that its folders give evidence for; none where there are no class folders."""
    passed, base = inner(root, WORDS)
    prefix = "".join(literal(folder.name) + "/" for folder in passed)
    return (
        split_beside_classes(prefix, base)
        or _by_splits(prefix, base)
        or _by_splits_inside(prefix, base)
        or splits_in_file_names(prefix, without_masks(base.full()))
        or by_classes(prefix, base)
    )


# splits with classes inside


def _by_splits(prefix: str, base: Folder) -> list[Layout]:
    kids = without_masks(base.full())
    if joined := split_and_class_in_one(prefix, kids):
        return joined
    words = {kid.name: split_word(kid.name) for kid in kids}
    parts = [part for kid in kids if (word := words[kid.name]) for part in _with_inner(_part(kid, word))]
    beside = [kid for kid in kids if words[kid.name] is None]
    deep = [part for part in parts if part.kids]
    if not deep:
        return _flat_splits(prefix, parts, beside)
    train = {name for part in deep if part.split in ("train", None) for name in part.classes()}
    if not train:
        is_clear = not beside and all(part.word.is_exact for part in parts)
        return [_split_layout(prefix, deep)] if is_clear else _splits_beside(prefix, beside)
    are_several = len({part.split for part in parts}) > 1
    is_exact = any(part.word.is_exact for part in parts)
    if not (are_several or is_exact):
        return []
    taken = _split_layout(prefix, deep, beside)
    agree = all(part.agrees(train) for part in deep)
    rivals = [kid for kid in beside if {as_read(inside.name) for inside in kid.full()} & train]
    is_beside_clear = are_several or all(_UNLABELLED.search(kid.name) for kid in beside)
    below = by_things(prefix + _split_fields(deep), [kid for part in deep for kid in part.kids])
    if agree and not rivals and is_beside_clear:
        return _with_lone_class(prefix, deep, train) or [taken, *below]
    together = [variants_together(prefix, kids)] if rivals and agree else []
    inside = _innermost(prefix, deep)
    inside += [layout for layout in below if layout.template not in {other.template for other in inside}]
    return [taken, *inside, *together, class_layout(prefix, kids)]


def _part(folder: Folder, word: SplitWord) -> _Part:
    passed, last = inner(folder)
    kids = without_masks(last.full())
    is_flat = len(kids) == 1 and kids[0].name.casefold() in IMAGE_FOLDERS and not kids[0].full()
    return _Part(folder, word, passed, [] if is_flat else kids)


def _with_inner(part: _Part) -> list[_Part]:
    """A split, and those that lie among its class folders with the same classes inside: `train/val/cat`."""
    inside = [(kid, word) for kid in part.kids if (word := split_word(kid.name)) and word.is_exact]
    own = [kid for kid in part.kids if all(kid is not other for other, _ in inside)]
    classes = {as_read(kid.name) for kid in own}
    found = [
        replace(_part(kid, word), above=(part.folder, *part.passed))
        for kid, word in inside
        if len({as_read(below.name) for below in kid.full()} & classes) > 1
    ]
    return [replace(part, kids=own), *found] if inside and len(found) == len(inside) else [part]


def _split_layout(prefix: str, parts: Sequence[_Part], beside: Sequence[Folder] = ()) -> Layout:
    kids = [kid for part in parts for kid in part.kids]
    words = f"{named(part.folder.name for part in parts)} are splits, classes are {named(kid.name for kid in kids)}"
    if beside:
        words += f"; {named(kid.name for kid in beside)} ({images(beside)}) left out"
    return Layout(prefix + _split_fields(parts) + "{class}" + mask_tail(kids), words)


def _innermost(prefix: str, deep: Sequence[_Part]) -> list[Layout]:
    """The readings of splits with folders of class folders inside: `train/patient 1/ill`."""
    below = [kid for part in deep for kid in part.kids if not kid.images and len(kid.full()) > 1]
    if not below or any(part.above for part in deep):
        return []
    names = named(inside.name for kid in below for inside in kid.full())
    found = [Layout(prefix + "{split}/**/{class}/*", f"classes are the innermost folders: {names}")]
    if all(not kid.images for part in deep for kid in part.folder.full()):
        words = f"classes are {names}, and images of one folder above belong together"
        found.append(Layout(prefix + "{split}/{group}/{class}", words))
    return found


def _with_lone_class(prefix: str, deep: Sequence[_Part], train: set[str]) -> list[Layout]:
    """The two readings where val or test has one class folder that may be meant; none where there is no such.

    One called `unknown`, `test` or `images` is there to have a folder: its images are unlabelled.
    """
    lone = next(
        (part for part in deep if part.split in ("val", "test") and len(train) > 1 and _is_lone_class(part, train)),
        None,
    )
    if lone is None:
        return []
    split, name = shown(lone.folder.name, 40), shown(lone.kids[0].name, 40)
    others = [part for part in deep if part is not lone]
    left_out = Layout(
        prefix + _named_split_fields(others) + "{class}",
        f"{split} is left out ({images([lone.folder])}), its images being unlabelled: it is cut from train",
    )
    template = prefix + _split_fields(deep) + "{class}"
    if lone.classes() <= train:
        return [Layout(template, f"{split} has images of the class {name} alone"), left_out]
    anew = f"{name} is a class as those of train are, and all images are divided anew"
    return [left_out, Layout(template, anew, settings={"given_splits": "ignore"})]


def _is_lone_class(part: _Part, train: set[str]) -> bool:
    if len(part.kids) != 1:
        return False
    name = as_read(part.kids[0].name)
    if name in train:
        return True
    is_number = name.replace(".", "").isdigit() and not any(other.replace(".", "").isdigit() for other in train)
    sounds_empty = name in IMAGE_FOLDERS | _NO_CLASS or split_word(name) or _UNLABELLED.search(name)
    return not (is_number or sounds_empty or name == as_read(part.folder.name))


def _split_fields(parts: Sequence[_Part]) -> str:
    """The part of a template for splits, down to their class folders; with a slash at its end."""
    if any(part.above for part in parts):
        return _named_split_fields(parts)
    ways = {tuple(folder.name for folder in part.passed) for part in parts}
    is_alone = all(
        len(above.full()) == 1 for part in parts for above in [part.folder, *part.passed][: len(part.passed)]
    )
    if is_alone and len({len(way) for way in ways}) == 1:
        return "{split}/" + "*/" * len(next(iter(ways)))
    if len(ways) == 1:
        return "{split}/" + "".join(literal(name) + "/" for name in next(iter(ways)))
    return _named_split_fields(parts)


def _named_split_fields(parts: Sequence[_Part]) -> str:
    """As `_split_fields`, of these folders alone."""
    paths = ["/".join(re.escape(f.name) for f in (*part.above, part.folder, *part.passed)) for part in parts]
    paths.sort(key=lambda path: -path.count("/") if any(part.above for part in parts) else 0)
    return "{split:" + "|".join(paths) + "}/"


def _flat_splits(prefix: str, parts: Sequence[_Part], beside: Sequence[Folder]) -> list[Layout]:
    """Folders named like splits with images and no class folders: the names of the files may say the class."""
    are_several = len({part.split for part in parts}) > 1
    if not parts or (beside and not are_several) or not any(part.word.is_exact or are_several for part in parts):
        return []
    folders = [part.folder for part in parts] + list(beside)
    layouts = [Layout(prefix + "{class}", f"classes are the folders {named(kid.name for kid in folders)}", False)]
    patterns = [pattern for part in parts if (pattern := class_in_names(part.folder.images))]
    if patterns:
        words = f"{named(part.folder.name for part in parts)} are splits, file names {patterns[0].words}"
        layouts.insert(0, Layout(prefix + "{split}/" + patterns[0].template, words, False))
    return layouts


def _splits_beside(prefix: str, beside: Sequence[Folder]) -> list[Layout]:
    """The splits inside the one folder beside an unlabelled test that has any."""
    found = []
    for kid in beside:
        passed, base = inner(kid)
        path = "".join(literal(folder.name) + "/" for folder in (kid, *passed))
        if not kid.images and (inside := _by_splits(prefix + path, base)):
            found.append(inside)
    return found[0] if len(found) == 1 else []


# classes with splits inside


def _by_splits_inside(prefix: str, base: Folder) -> list[Layout]:
    kids = without_masks(base.full())
    fit = [kid for kid in kids if not kid.images and all(split_word(inside.name) for inside in kid.full())]
    words = {word for kid in fit for inside in kid.full() if (word := split_word(inside.name))}
    if len(fit) * 2 <= len(kids) or len({word.split for word in words}) < 2:
        return _splits_in_some(prefix, kids, fit)
    parts = [_part(inside, word) for kid in fit for inside in kid.full() if (word := split_word(inside.name))]
    names = named(kid.name for kid in kids)
    deep = [part for part in parts if part.kids]
    inside_words = f"classes are {names}, each with {named(part.folder.name for part in parts)} inside"
    plain = Layout(f"{prefix}{{class}}/{{split}}", inside_words)
    if not deep:
        return [plain] if len(fit) == len(kids) else [plain, class_layout(prefix, kids)]
    if len(kids) == 1:
        return [_split_layout(f"{prefix}{literal(kids[0].name)}/", deep)]
    fields = _split_fields(deep)
    classes = named(kid.name for part in deep for kid in part.kids)
    together = Layout(f"{prefix}*/{fields}{{class}}", f"classes are {classes}, those of {names} together")
    single = [
        Layout(
            f"{prefix}{literal(kid.name)}/{fields}{{class}}", f"{shown(kid.name, 40)} alone: the others are left out"
        )
        for kid in fit[:N_VARIANTS]
    ]
    return [together, *single, plain]


def _splits_in_some(prefix: str, kids: Sequence[Folder], fit: Sequence[Folder]) -> list[Layout]:
    """The readings where a folder among others holds splits with class folders inside: `raw/cat`, `ready/train/cat`."""
    found = [
        Layout(prefix + literal(kid.name) + "/" + layout.template, f"{shown(kid.name, 40)} alone: {layout.words}")
        for kid in fit
        for layout in _by_splits("", kid)[:1]
    ]
    return [*found, class_layout(prefix, kids)] if found else []
