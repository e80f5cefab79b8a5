"""The ways in which a tree of folders can be read: what its folders are, by their names and by what lies below them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...config.data import SplitName
from ..files.visible import shown
from ..labels.alike import as_read
from .name_patterns import class_in_names
from .shape import IMAGE_FOLDERS, Folder, inner, is_mask_folder, mask_marks, without_masks
from .split_words import WORDS, SplitWord, split_word
from .template import literal

_AGREES = 0.5
"""Share of a split's classes that train must have; folders named like splits that have others may be classes."""
_UNLABELLED = re.compile(r"unlabell?ed|unsup\w*|pred\w*|infer\w*|submission|meta|samples?|preview|examples?|demo", re.I)
_N_VARIANTS = 4


@dataclass(frozen=True)
class Layout:
    """One way to read a tree: its template, and what that makes of the folders. One that is not `is_sure` is asked
    about, even where there is no other."""

    template: str
    words: str
    is_sure: bool = True


@dataclass(frozen=True)
class _Part:
    """A folder named like a split: the folders passed on the way to its class folders, and these."""

    folder: Folder
    word: SplitWord
    passed: list[Folder]
    kids: list[Folder]

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
    return _by_splits(prefix, base) or _by_splits_inside(prefix, base) or _by_classes(prefix, base)


# splits with classes inside


def _by_splits(prefix: str, base: Folder) -> list[Layout]:
    kids = without_masks(base.full())
    words = {kid.name: split_word(kid.name) for kid in kids}
    parts = [_part(kid, word) for kid in kids if (word := words[kid.name])]
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
    if agree and not rivals and is_beside_clear:
        return [taken]
    together = [_variants_together(prefix, kids)] if rivals and agree else []
    return [taken, *together, _class_layout(prefix, kids)]


def _part(folder: Folder, word: SplitWord) -> _Part:
    passed, last = inner(folder)
    kids = without_masks(last.full())
    is_flat = len(kids) == 1 and kids[0].name.casefold() in IMAGE_FOLDERS and not kids[0].full()
    return _Part(folder, word, passed, [] if is_flat else kids)


def _split_layout(prefix: str, parts: Sequence[_Part], beside: Sequence[Folder] = ()) -> Layout:
    kids = [kid for part in parts for kid in part.kids]
    words = f"{_named(part.folder.name for part in parts)} are splits, classes are {_named(kid.name for kid in kids)}"
    if beside:
        words += f"; {_named(kid.name for kid in beside)} ({_images(beside)}) left out"
    return Layout(prefix + _split_fields(parts) + "{class}" + _tail(kids), words)


def _split_fields(parts: Sequence[_Part]) -> str:
    """The part of a template for splits, down to their class folders; with a slash at its end."""
    ways = {tuple(folder.name for folder in part.passed) for part in parts}
    is_alone = all(
        len(above.full()) == 1 for part in parts for above in [part.folder, *part.passed][: len(part.passed)]
    )
    if is_alone and len({len(way) for way in ways}) == 1:
        return "{split}/" + "*/" * len(next(iter(ways)))
    if len(ways) == 1:
        return "{split}/" + "".join(literal(name) + "/" for name in next(iter(ways)))
    paths = ["/".join(re.escape(folder.name) for folder in (part.folder, *part.passed)) for part in parts]
    return "{split:" + "|".join(paths) + "}/"


def _flat_splits(prefix: str, parts: Sequence[_Part], beside: Sequence[Folder]) -> list[Layout]:
    """Folders named like splits with images and no class folders: the names of the files may say the class."""
    are_several = len({part.split for part in parts}) > 1
    if not parts or (beside and not are_several) or not any(part.word.is_exact or are_several for part in parts):
        return []
    folders = [part.folder for part in parts] + list(beside)
    layouts = [Layout(prefix + "{class}", f"classes are the folders {_named(kid.name for kid in folders)}", False)]
    patterns = [pattern for part in parts if (pattern := class_in_names(part.folder.images))]
    if patterns:
        words = f"{_named(part.folder.name for part in parts)} are splits, file names begin with classes"
        layouts.insert(0, Layout(prefix + "{split}/" + patterns[0], words, False))
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
        return []
    parts = [_part(inside, word) for kid in fit for inside in kid.full() if (word := split_word(inside.name))]
    names = _named(kid.name for kid in kids)
    deep = [part for part in parts if part.kids]
    inside_words = f"classes are {names}, each with {_named(part.folder.name for part in parts)} inside"
    plain = Layout(f"{prefix}{{class}}/{{split}}", inside_words)
    if not deep:
        return [plain] if len(fit) == len(kids) else [plain, _class_layout(prefix, kids)]
    if len(kids) == 1:
        return [_split_layout(f"{prefix}{literal(kids[0].name)}/", deep)]
    fields = _split_fields(deep)
    classes = _named(kid.name for part in deep for kid in part.kids)
    together = Layout(f"{prefix}*/{fields}{{class}}", f"classes are {classes}, those of {names} together")
    single = [
        Layout(
            f"{prefix}{literal(kid.name)}/{fields}{{class}}", f"{shown(kid.name, 40)} alone: the others are left out"
        )
        for kid in fit[:_N_VARIANTS]
    ]
    return [together, *single, plain]


# class folders


def _by_classes(prefix: str, base: Folder) -> list[Layout]:
    kids = without_masks(base.full())
    if not kids or (len(kids) == 1 and len(base.full()) > 1 and kids[0].name.casefold() in IMAGE_FOLDERS):
        return []
    plain = _class_layout(prefix, kids)
    deep = [kid for kid in kids if not kid.images and len(kid.full()) > 1]
    if len(deep) == len(kids) > 1 and _share(deep):
        single = [
            Layout(
                f"{prefix}{literal(kid.name)}/{{class}}{_tail(kid.full())}",
                f"{shown(kid.name, 40)} alone, without the others: classes are {_named(k.name for k in kid.full())}",
            )
            for kid in kids[:_N_VARIANTS]
        ]
        return [_variants_together(prefix, kids), *single, plain]
    if len(kids) == 2 and len(deep) == 1:
        other = next(kid for kid in kids if kid is not deep[0])
        words = (
            f"classes are {_named(kid.name for kid in deep[0].full())}; {shown(other.name, 40)} ({_images([other])})"
        )
        return [Layout(f"{prefix}{literal(deep[0].name)}/{{class}}", words + " is left out"), plain]
    return [plain]


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


def _variants_together(prefix: str, kids: Sequence[Folder]) -> Layout:
    inside = [kid for folder in kids for kid in folder.full()]
    words = f"classes are {_named(kid.name for kid in inside)}, those of {_named(kid.name for kid in kids)} together"
    return Layout(f"{prefix}*/{{class}}{_tail(inside)}", words)


def _class_layout(prefix: str, kids: Sequence[Folder]) -> Layout:
    return Layout(prefix + "{class}" + _tail(kids), f"classes are {_named(kid.name for kid in kids)}")


def _tail(kids: Sequence[Folder]) -> str:
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


def _named(names: Iterable[str], n: int = 5) -> str:
    distinct = list(dict.fromkeys(names))
    more = f", ... ({len(distinct)})" if len(distinct) > n else ""
    return ", ".join(shown(name, 40) for name in distinct[:n]) + more


def _images(folders: Sequence[Folder]) -> str:
    return f"{sum(folder.total for folder in folders):,} images"
