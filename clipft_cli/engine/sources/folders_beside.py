"""Folders beside those of classes that are called like a split, or like images without a label: `cat/ dog/ test/`."""

from __future__ import annotations

import re
import unicodedata

from ..labels.alike import as_read
from .class_folders import Layout, by_classes, class_layout, images, named
from .shape import Folder, without_masks
from .split_words import is_only_split, split_word

_MAY_BE_CLASSES = frozenset({"valid", "validate", "evaluation"})
"""Words of splits that are as likely a class: `valid` beside `invalid`."""
_UNLABELLED = re.compile(
    r"(un|not[ _-]?)labell?ed|unsup(ervised)?|to[ _-]?(label|predict|classify)|predict(ion)?s?|inference|submissions?",
    re.IGNORECASE,
)


def split_beside_classes(prefix: str, base: Folder) -> list[Layout]:
    """The ways to read class folders with a val or test, or images without a label, beside them; none for others.

    A test with the same classes inside is one; one with images alone, or with a folder that is no class, holds images
    without a label, unless its name is a class's.
    """
    kids = without_masks(base.full())
    marked = [kid for kid in kids if _is_marked(kid)]
    others = [kid for kid in kids if all(kid is not other for other in marked)]
    has_train = any((word := split_word(kid.name)) and word.split == "train" for kid in kids)
    if not marked or len(others) < 2 or has_train:
        return []
    rest = Folder(base.name, base.images, base.others, {kid.name: kid for kid in others})
    read = by_classes(prefix, rest)
    if len(read) != 1 or not read[0].template.startswith(prefix + "{class}"):
        return []
    tail = read[0].template.removeprefix(prefix + "{class}")
    names = "|".join(re.escape(unicodedata.normalize("NFC", kid.name)).replace("\\ ", " ") for kid in marked)
    marks = f"(?:{names})/" if len(marked) > 1 else f"{names}/"
    field = f"{{class:(?!{marks})[^/]+}}{tail}"
    classes = {as_read(kid.name) for kid in others}
    said = f"classes are {named(kid.name for kid in others)}"
    shown_marked = named(kid.name for kid in marked)
    if all(_has_classes(kid, classes) for kid in marked):
        words = f"{said}; of {shown_marked} the split is given, that of the others is to be chosen"
        return [Layout(f"{prefix}{{split:({marks})?}}{field}", words)]
    left_out = Layout(prefix + field, f"{said}; {shown_marked} ({images(marked)}) left out, having no labels")
    return [left_out, class_layout(prefix, kids)]


def _is_marked(folder: Folder) -> bool:
    if _UNLABELLED.fullmatch(folder.name.strip()):
        return True
    word = split_word(folder.name)
    return (
        word is not None
        and word.split != "train"
        and is_only_split(folder.name)
        and folder.name.casefold() not in _MAY_BE_CLASSES
    )


def _has_classes(folder: Folder, classes: set[str]) -> bool:
    """Whether a folder called like a split has images of these classes, each in a folder of its own."""
    inside = {as_read(kid.name) for kid in without_masks(folder.full())}
    return split_word(folder.name) is not None and not folder.images and len(inside) > 1 and inside <= classes
