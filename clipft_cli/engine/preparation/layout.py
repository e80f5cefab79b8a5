"""Writing a data set: copies under train, val and test, or a manifest over files that stay where they are."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ...config.data import SplitName
from ...errors import DataError, ResourceError
from ..files.visible import shown
from ..files.write import write_text
from ..labels.class_names import CLASSES_FILE, ClassInfo
from ..labels.folder_names import copied_name, folder_names
from ..manifest import README_FILE, SPLITS, Manifest, Row
from ..sources.tree import is_ignored
from .checks import Picture

README_MARK = "<!-- written by clipft prepare -->"
_SPARE_BYTES = 64 << 20


@contextmanager
def work_folder(target: Path, stays: bool) -> Iterator[Path]:
    """A hidden folder beside `target`, removed at the end whatever happens; elsewhere if the images stay.

    One that a killed run left behind is removed too. Raises ResourceError where none can be made.
    """
    if stays:
        with tempfile.TemporaryDirectory(prefix="clipft-") as elsewhere:
            yield Path(elsewhere)
        return
    parent = target.parent
    folder = parent / f".{target.name[:80]}.preparing-{os.getpid()}"
    is_new = not parent.exists()
    try:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(parent, target.name[:80])
            folder.mkdir()
        except (FileExistsError, NotADirectoryError):
            raise DataError(
                f"{parent}: a file stands where a folder is needed", hint="choose another --output-dir"
            ) from None
        except OSError as error:
            raise ResourceError(
                f"{parent}: cannot be written to: {error.strerror}", hint="choose another --output-dir"
            ) from None
        yield folder
    finally:  # around the making too: a signal may come right after it
        shutil.rmtree(folder, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                parent.rmdir()  # only ever removes an empty folder: where nothing was made, nothing is left


def _remove_leftovers(parent: Path, name: str) -> None:
    for folder in parent.glob(f".{_glob_literal(name)}.preparing-*"):
        found = re.search(r"-(\d+)$", folder.name)
        if found and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _glob_literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def check_free_space(folder: Path, needed_bytes: int) -> None:
    """Raises ResourceError where the disk cannot hold the copies."""
    free = shutil.disk_usage(folder).free
    if needed_bytes + _SPARE_BYTES > free:
        raise ResourceError(
            f"{folder.parent}: {needed_bytes >> 20} MiB are needed, {free >> 20} MiB are free",
            hint="`--in-place` copies nothing; or choose an --output-dir on another disk",
        )


def copy_pictures(
    folder: Path,
    pictures: Sequence[Picture],
    splits: Sequence[SplitName],
    labels: Sequence[int],
    *,
    classes: Sequence[ClassInfo],
    on_done: Callable[[int, int], None],
) -> list[Row]:
    """Copy each picture, byte for byte, to folder/split/class/, and return the rows.

    File names are kept; one that is taken, or that cannot be a file name elsewhere, is changed a little.
    """
    check_free_space(folder, sum(picture.bytes for picture in pictures))
    taken: dict[tuple[str, int], set[str]] = defaultdict(set)
    class_folder = class_folders(classes)
    for split in SPLITS:
        for name in class_folder:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for n, (picture, split, label) in enumerate(zip(pictures, splits, labels, strict=True), start=1):
        name = copied_name(picture.item.file.name, taken[split, label])
        path = f"{split}/{class_folder[label]}/{name}"
        shutil.copyfile(picture.item.file, folder / path)
        rows.append(Row(path, label, split, picture.sha256, picture.bytes, picture.item.group))
        if n % 64 == 0 or n == len(pictures):
            on_done(n, len(pictures))
    return rows


def class_folders(classes: Sequence[ClassInfo], rows: Iterable[Row] = ()) -> list[str]:
    """The folder of each class below train, val and test: where its rows lie already, else one made of its name."""
    made = folder_names([info.name for info in classes], is_ignored)
    lies_in = {row.label: parts[1] for row in rows if len(parts := row.path.split("/")) == 3 and parts[0] in SPLITS}
    return [lies_in.get(label, folder) for label, folder in enumerate(made)]


def move_into_place(folder: Path, target: Path, aside: Path | None = None) -> None:
    """Give a finished folder its name; what has the name so far gets the name `aside`, where that is given.

    Raises DataError where something is there by now.
    """
    try:
        if aside is not None:
            os.rename(target, aside)
        elif target.is_dir():
            target.rmdir()  # only ever removes an empty folder
        os.rename(folder, target)
    except OSError as error:
        raise DataError(
            f"{target}: something is there by now ({error.strerror})", hint="choose another --output-dir"
        ) from None


def name_aside(target: Path) -> Path:
    """NAME.old-1 (or the next free number), where an existing data set goes; nothing is deleted."""
    n = 1
    while (aside := target.with_name(f"{target.name}.old-{n}")).exists():
        n += 1
    return aside


def write_readme(root: Path, text: str) -> None:
    """Write README.md, unless one is there that this program did not write."""
    path = root / README_FILE
    if path.exists() and README_MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    write_text(path, f"{text}\n{README_MARK}\n")


def readme_text(manifest: Manifest) -> str:
    """What is in the folder, where it comes from, and how to put photographs there."""
    counts = Counter((row.label, row.split) for row in manifest.rows)
    lines = [
        "| class | in prompts | train | val | test |",
        "|---|---|---:|---:|---:|",
        *(
            f"| {markdown_text(info.name)} | {markdown_text(info.readable)} | "
            + " | ".join(str(counts[label, split]) for split in SPLITS)
            + " |"
            for label, info in enumerate(manifest.classes)
        ),
    ]
    kind = (
        "Drawings made by clipft, not photographs."
        if manifest.origin.is_drawn
        else f"Images from {markdown_text(manifest.origin.source)}."
    )
    shares = "/".join(f"{share:g}" for share in manifest.origin.split)
    return "\n".join(
        [
            f"# {markdown_text(manifest.name)}",
            "",
            f"{kind} {len(manifest.rows):,} images in {len(manifest.classes)} classes;"
            f" split {shares} by seed {manifest.origin.seed}; digest {manifest.digest[:16]}.",
            "",
            *lines,
            "",
            HOW_TO,
        ]
    )


HOW_TO = f"""\
## Use photographs

- Put images into `train/<class>/` (and `val/<class>/`, `test/<class>/` where you have them), then run
  `clipft prepare` on this folder again: it takes in what was added and drops what was removed.
- Or give clipft your own folder of class folders: `clipft prepare FOLDER`.
- `{CLASSES_FILE}` holds the words prompts use for each class; edit them there.
- What was left out, and why, stands in `problems.csv`.
"""


def markdown_text(text: str) -> str:
    """`text` for Markdown: no table, HTML or link syntax gets through."""
    clean = shown(text, 200).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", clean)
