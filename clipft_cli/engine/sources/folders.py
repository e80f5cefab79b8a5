"""Folders as a source: of class folders, of splits with class folders inside, or in the layout that --paths says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ...config.data import SplitName
from ...errors import Answer, DataError, Question
from ..files.pictures import is_picture
from ..files.visible import quoted, shown
from ..labels.alike import as_read
from ..labels.class_names import CLASSES_FILE
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from .layouts import layouts
from .listing import Item, Listing
from .losses import hidden_warning, named_counts
from .name_patterns import class_in_names
from .problems import A_MASK, BESIDE_SPLITS, EMPTY_CLASS, EMPTY_SPLIT, NOT_AN_IMAGE, PROBLEMS_FILE, UNLABELLED, Problem
from .shape import shape_of
from .source import Source, SourceRequest, whole_path
from .split_lists import apply_split_lists
from .split_words import NUMBERED, SplitWord, split_word
from .template import Template, match, parse_template
from .tree import ARCHIVE_SUFFIXES, Tree, is_image_like, walk

READING_PAGE = "reading.html"
OWN_FILES = frozenset({"dataset.json", "manifest.jsonl", "README.md", READING_PAGE, CLASSES_FILE, PROBLEMS_FILE})
OUTSIDE = "outside any class folder"
_N_NAMED = 6
_UNREAD = frozenset({".mat", ".h5", ".hdf5", ".tfrecord", ".tfrecords", ".pkl", ".pickle", ".xlsx", ".xls", ".ods"})
"""Suffixes of files that often say the classes of the images beside them."""
_NO_FIT = "does not fit --paths"


@lru_cache(4096)
def _split_word(text: str) -> SplitWord | None:
    """The split that a folder names, or the innermost of several: `train/val` is val, `test/images` is test."""
    return next((word for part in reversed(text.split("/")) if (word := split_word(part))), None)


def _numbered_word(text: str) -> SplitWord | None:
    return SplitWord(NUMBERED[text], False) if text in NUMBERED else None


class _Sorting:
    """A tree under one template: where each file goes."""

    def __init__(self, root: Path, template: Template, is_asked: bool, listing: Listing) -> None:
        self.root, self.template, self.is_asked, self.listing = root, template, is_asked, listing
        lead, found, tail = template.text.partition("{class}")
        self._whole_class = parse_template(lead + found).forms[0] if tail.startswith("/") and not is_asked else None
        self._split_depth = template.text.partition("{")[0].count("/")
        self._labels: dict[str, str] = {}
        self._written: dict[SplitName | None, Counter[str]] = defaultdict(Counter)
        self._split_word: Callable[[str], SplitWord | None] = _split_word

    def sort(self, tree: Tree) -> None:
        """Make an item or a problem of each file."""
        paths = [path.as_posix() for path in tree.files]
        form = self.template.form(paths)
        if "split" in self.template.fields:
            said = {fields["split"] for text in paths if (fields := match(form, text))}
            self._split_word = _numbered_word if said == NUMBERED.keys() else _split_word
        for path, text in zip(tree.files, paths, strict=True):
            if text in OWN_FILES:
                continue
            file, fields = self.root / path, match(form, text)
            if not is_image_like(path) and not is_picture(file):
                if "/" in text:
                    self.listing.problems.append(Problem(text, NOT_AN_IMAGE))
            elif fields is None:
                self.listing.problems.append(self._unfit(text))
            else:
                self._take(file, text, fields)
        for split, written in self._written.items():
            if split and len(written) > 1:
                words = f"{split} is made of {len(written)} folders: {named_counts(written, _N_NAMED)}"
                self.listing.warnings.append(f"{words}; `--paths` says which of them count")

    def _take(self, file: Path, text: str, fields: dict[str, str]) -> None:
        word = self._split_word(fields["split"]) if fields.get("split") else None
        if fields.get("split") and word is None:
            self.listing.problems.append(Problem(text, BESIDE_SPLITS, fields["split"]))
            return
        if word is not None:
            self._written[word.split][fields["split"]] += 1
        raw = fields["class"]
        label = self._labels.get(raw) or self._labels.setdefault(raw, class_name(raw))
        self.listing.items.append(Item(file, text, label, word.split if word else None, fields.get("group")))

    def _unfit(self, text: str) -> Problem:
        """Why an image is in no class."""
        if self._whole_class is not None and match(self._whole_class, text):
            return Problem(text, A_MASK)
        folders = text.split("/")[:-1]
        if "split" in self.template.fields and len(folders) > self._split_depth:
            top = folders[self._split_depth]
            return Problem(text, UNLABELLED if self._split_word(top) else BESIDE_SPLITS, top)
        return Problem(text, _NO_FIT if self.is_asked else OUTSIDE)


def list_folder(root: Path, request: SourceRequest) -> Listing:
    """The images of a folder: in the layout of --paths, else in the one that its folders give evidence for.

    Raises DataError where there is no class, Question where there is evidence for two layouts.
    """
    tree = walk(root)
    listing = Listing(root.resolve().name or "images", str(root), problems=tree.problems, ignored=tree.ignored)
    asked = request.options.paths
    text = asked or _guess(root, tree, request)
    template = parse_template(text)
    _Sorting(root, template, asked is not None, listing).sort(tree)
    listing.read_as, listing.places = {"paths": text}, template.places(path.as_posix() for path in tree.files)
    _note_empty_folders(listing, tree, template)
    if request.options.given_splits != "ignore":
        _set_unlabelled_aside(listing)
    _tell(listing, tree, template, request)
    apply_split_lists(listing, root, request, tree.files)
    is_to_train = request.options.split[0] > 0
    if len(listing.labels()) == 1 and is_to_train and not asked and (unread := _unread(root, tree)):
        raise unread
    if not listing.items:
        has_images = any(map(is_image_like, tree.files))
        raise _nothing_fits(root, text, tree) if asked and has_images else _no_classes(root, tree, request)
    return listing


def _guess(root: Path, tree: Tree, request: SourceRequest) -> str:
    """The template of the only layout there is evidence for. Raises Question for several, DataError for none."""
    found = layouts(shape_of(tree))
    if not found:
        raise _no_classes(root, tree, request)
    if len(found) > 1 or not found[0].is_sure:
        raise request.question(
            f"{root}: its folders can be read in more than one way",
            [Answer(layout.words, {"paths": layout.template, **layout.settings}) for layout in found],
        )
    return found[0].template


def _set_unlabelled_aside(listing: Listing) -> None:
    """Images of a val or test with one folder that is no class of train: it is only there to have a folder."""
    labels: dict[str | None, set[str]] = defaultdict(set)
    for item in listing.items:
        labels[item.split].add(item.label)
    train = {as_read(label) for label in labels["train"] | labels[None]}
    aside = {
        split
        for split, own in labels.items()
        if split in ("val", "test") and len(train) > 1 and len(own) == 1 and as_read(next(iter(own))) not in train
    }
    listing.problems += [Problem(item.name, UNLABELLED, item.label) for item in listing.items if item.split in aside]
    listing.items = [item for item in listing.items if item.split not in aside]


def _note_empty_folders(listing: Listing, tree: Tree, template: Template) -> None:
    """A problem for each folder in the place of a class, or of a split, in which no image lies."""
    filled = {item.label for item in listing.items}
    taken = _with_parents({item.name.rpartition("/")[0] for item in listing.items})
    seen = taken | _with_parents({path.parent.as_posix() for path in tree.files if is_image_like(path)})
    of_class, of_split = template.down_to("class"), template.down_to("split")
    for folder in tree.folders:
        path = PurePosixPath(folder.as_posix())
        is_known_split = of_split is not None and is_split_word(of_split, path)
        if is_known_split and path not in seen:
            listing.problems.append(Problem(path.as_posix(), EMPTY_SPLIT))
        fields = match(of_class, path.as_posix()) if of_class is not None else None
        if fields is None or path in taken or not _split_word(fields.get("split", "train")):
            continue
        name = class_name(fields["class"])
        if name not in filled:
            filled.add(name)
            listing.problems.append(Problem(path.as_posix(), EMPTY_CLASS, label=name))


def _with_parents(folders: Iterable[str]) -> set[PurePosixPath]:
    """The folders, and those that they lie in."""
    paths = [PurePosixPath(folder) for folder in folders]
    return {folder for path in paths for folder in (path, *path.parents)}


def is_split_word(of_split: re.Pattern[str], path: PurePosixPath) -> bool:
    """Whether a folder stands in the place of a split, and is called like one."""
    fields = match(of_split, path.as_posix())
    return fields is not None and _split_word(fields["split"]) is not None


def _tell(listing: Listing, tree: Tree, template: Template, request: SourceRequest) -> None:
    """What a person should know of this reading: what it passes over, and by how much."""
    prefix = template.text.partition("{")[0].rstrip("*/")
    if prefix:
        listing.notes.append(f"class folders were found in {shown(prefix)}/")
    if tree.system:
        names = ", ".join(shown(name, 40) for name in sorted(tree.system)[:5])
        listing.notes.append(f"folders of the system or of a network drive passed over: {names}")
    if tree.hidden:
        listing.warnings.append(hidden_warning(tree.hidden))
    if any(problem.reason == UNLABELLED for problem in listing.problems):
        listing.notes.append("`clipft predict` classifies unlabelled images once there is a model")
    deeper = _sub_folders(listing, template)
    if deeper:
        inside = template.text.replace("{class}", "*/{class}", 1)
        listing.notes.append(
            f"class folders hold sub-folders ({', '.join(shown(name, 30) for name in list(deeper)[:4])}), whose images"
            f" count as the class's; `{request.again('--paths', inside)}` would make classes of them"
        )


def _sub_folders(listing: Listing, template: Template) -> Counter[str]:
    """Names of the folders inside class folders, where the template ends at the class."""
    if template.text.rpartition("/")[2] != "{class}":
        return Counter()
    depth = template.text.count("/") + 1
    parts = (item.name.split("/") for item in listing.items)
    return Counter(names[depth] for names in parts if len(names) > depth + 1)


def _nothing_fits(root: Path, text: str, tree: Tree) -> DataError:
    example = next((path.as_posix() for path in tree.files if is_image_like(path)), None)
    where = f"; the first image is {shown(example)}" if example else "; there is no image"
    return DataError(
        f"{root}: no image fits --paths {shown(text, 120)}{where}",
        hint="the template is for the path of an image below SOURCE: '{split}/{class}/*' fits train/cat/1.jpg",
    )


def _no_classes(root: Path, tree: Tree, request: SourceRequest) -> DataError:
    images = [path for path in tree.files if is_image_like(path)]
    loose = [path.name for path in images if len(path.parts) == 1]
    layout = "one folder a class, images inside: pets/cat/1.jpg, pets/dog/2.jpg"
    if loose and (pattern := class_in_names(loose)):
        return Question(
            f"{root}: {len(loose)} files, but no class folders",
            [Answer(f"the names of the files {pattern.words}", {"paths": pattern.template})],
            [request.again("--paths", pattern.template)],
        )
    if unread := _unread(root, tree):
        return unread
    if loose:
        return DataError(f"{root}: {len(loose)} files, but no class folders", hint=layout)
    archives = [path for path in tree.files if path.name.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives and not images:
        return DataError(
            f"{root}: holds no images, but archives: {', '.join(shown(str(path), 60) for path in archives[:5])}",
            hint="\n".join(f"`clipft prepare {quoted(root / path)}`" for path in archives[:5]),
        )
    if tree.folders and not images:
        return DataError(
            f"{root}: its folders hold no images yet",
            hint=f"add images to each class folder, then run `clipft prepare {quoted(root)}` again",
        )
    return DataError(f"{root}: no class folders with images", hint=layout)


def _unread(root: Path, tree: Tree) -> DataError | None:
    """What may say the classes and is not read: a file of arrays, or a JSON beside each image, as labelme has."""
    images = {path.with_suffix("") for path in tree.files if is_image_like(path)}
    beside = [path for path in tree.files if path.suffix.lower() == ".json" and path.with_suffix("") in images]
    named = beside[:1] if len(beside) * 2 > len(images) > 1 else []
    named += [path for path in tree.files if path.suffix.lower() in _UNREAD]
    if not named:
        return None
    what = f"{shown(named[0].as_posix(), 60)}" + (f" and {len(beside) - 1:,} more" if named[0] in beside[:1] else "")
    return DataError(
        f"{root}: its folders do not say two classes; {what} may say them, and clipft does not read it",
        hint="write them as a table with the columns image and label: labels.csv beside the images",
    )


def _evidence(text: str) -> str:
    return f"{text} is a folder" if text and Path(text).is_dir() else ""


def _data_folder(text: str) -> str:
    name = Path(text).resolve().name
    return folder_name(name) if name else "images"


FOLDER = Source(
    "folder",
    "folder",
    _evidence,
    lambda request: list_folder(request.path, request),
    data_folder=_data_folder,
    origin=whole_path,
    images_may_stay=True,
    has_paths=True,
    is_folder=True,
)
