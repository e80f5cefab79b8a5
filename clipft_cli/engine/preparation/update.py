"""Taking what is new into a data set that is there: no second copy of it, and no image of it changes its place.

New images are copied beside it first and moved in together; then the manifest is written, and only then does what is no
longer in the source leave. Whenever it stops, the earlier data set or the new one is whole.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...errors import DataError
from ..files.amounts import count
from ..labels.folder_names import copied_name
from ..manifest import SPLITS, Manifest, Row
from .draft import Draft
from .finish import Writing, finished_manifest, write_companions
from .layout import check_free_space, class_folders


def write_update(writing: Writing) -> Manifest:
    """Make the data set at the target what `draft` says. Images that are gone lie in NAME.dropped-N afterwards.

    Raises DataError where no image of it is left: then it is another data set, and not to be lost.
    """
    target, draft = writing.target, writing.draft
    assert target.earlier is not None
    before, root = target.earlier.manifest, target.root
    kept = _rows_that_stay(before, draft)
    if not kept:
        raise DataError(
            f"{root}: none of its images is in {target.source}, so there is nothing to update",
            hint="check the path of the source; or choose another --output-dir",
        )
    new = [i for i in range(len(draft.pictures)) if i not in kept]
    added, moves = _copied(writing, before, new)
    for path in moves:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(writing.work / "new" / path, root / path)
    rows = [kept[i] if i in kept else added[i] for i in range(len(draft.pictures))]
    manifest = finished_manifest(root, before.name, draft, rows, writing.origin)
    write_companions(manifest, draft.problems)
    n_gone, aside = _leave(before, manifest)
    were_there = {row.sha256 for row in before.rows}
    n_new = sum(draft.pictures[i].sha256 not in were_there for i in new)
    n_same = len(rows) - n_new
    writing.listing.notes.append(
        f"{count(n_new, 'image is', 'images are')} new, {n_same:,} were there and keep their split"
    )
    if n_gone:
        lead = count(n_gone, "image is", "images are")
        draft.warnings.append(f"{lead} not in the source any more; what is gone lies in {aside} now")
    return manifest


def _rows_that_stay(before: Manifest, draft: Draft) -> dict[int, Row]:
    """Rows of images that stay where they are, by the position of the picture."""
    known = {row.sha256: row for row in before.rows}
    found = {}
    for i, (picture, split, label) in enumerate(zip(draft.pictures, draft.splits, draft.labels(), strict=True)):
        row = known.get(picture.sha256)
        if row and row.split == split and before.classes[row.label].name == picture.item.label:
            found[i] = dataclasses.replace(row, label=label, group=picture.item.group)
    return found


def _copied(writing: Writing, before: Manifest, new: list[int]) -> tuple[dict[int, Row], list[str]]:
    """Copies in `work`, where they do no harm: the row of each, by position, and their paths below the root."""
    root, work, draft = writing.target.root, writing.work, writing.draft
    folders = class_folders(draft.classes, _relabelled(before, draft))
    labels = draft.labels()
    (work / "new").mkdir()
    check_free_space(work / "new", sum(draft.pictures[i].bytes for i in new))
    taken: dict[tuple[str, int], set[str]] = defaultdict(set)
    for split in SPLITS:
        for label, folder in enumerate(folders):
            (root / split / folder).mkdir(parents=True, exist_ok=True)
            taken[split, label] = {name.casefold() for name in os.listdir(root / split / folder)}
    rows = {}
    for n, i in enumerate(new, start=1):
        picture, split, label = draft.pictures[i], draft.splits[i], labels[i]
        path = f"{split}/{folders[label]}/{copied_name(picture.item.file.name, taken[split, label])}"
        (work / "new" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture.item.file, work / "new" / path)
        rows[i] = Row(path, label, split, picture.sha256, picture.bytes, picture.item.group)
        writing.on_progress("copying", n, len(new))
    return rows, [row.path for row in rows.values()]


def _relabelled(before: Manifest, draft: Draft) -> Iterator[Row]:
    """The rows of classes that are still there, under their labels of now."""
    place = {info.name: label for label, info in enumerate(draft.classes)}
    for row in before.rows:
        if (name := before.classes[row.label].name) in place:
            yield dataclasses.replace(row, label=place[name])


def _leave(before: Manifest, manifest: Manifest) -> tuple[int, Path]:
    """Move images that are in the data set no more out of it; how many, and where they are now.

    A file whose very bytes are in the data set under another path is removed.
    """
    paths, digests = {row.path for row in manifest.rows}, {row.sha256 for row in manifest.rows}
    root, n = manifest.root, 1
    while (aside := root.with_name(f"{root.name}.dropped-{n}")).exists():
        n += 1
    n_gone = 0
    for row in before.rows:
        if row.path in paths or not before.file(row).is_file():
            continue
        if row.sha256 in digests:
            before.file(row).unlink()
        else:
            n_gone += 1
            (aside / row.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(before.file(row), aside / row.path)
        with suppress(OSError):  # of a class that is gone; not where something lies in it
            before.file(row).parent.rmdir()
    return n_gone, aside
